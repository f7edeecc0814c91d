"""The image model as a user holds it: embed, reconstruct, sample, interpolate, save."""

from typing import Annotated, Any, Literal, Self

import numpy as np
import pydantic
from torch import Tensor

from pc_crvae.config import plain
from pc_crvae.config.images import ImageModelConfig
from pc_crvae.models.images.build import build_decoder, build_encoder, build_likelihood
from pc_crvae.models.images.checks import ImageShape, prepared_images
from pc_crvae.models.pretrained_vae import PretrainedVAE
from pc_crvae.models.vae import PosteriorHead

Image = Tensor | np.ndarray
"""(C, H, W) or (B, C, H, W), of one channel also (H, W): floating point in [0, 1], or uint8."""

_Size = Annotated[int, pydantic.Field(ge=1)]


class _Description(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    architecture: ImageModelConfig
    posterior: Literal["gaussian", "code"]
    shape: tuple[_Size, _Size, _Size]
    data: dict[str, Any]


class ImageVAE(PretrainedVAE):
    """A VAE (or plain auto-encoder) of images of one size.

    A model trained on binarised images takes grey levels all the same: its encoder reads them as
    the pixels' expected values, and what it decodes are probabilities.

    Args:
        architecture: encoder, head, latent size, decoder and likelihood.
        posterior: ``gaussian``, or ``code`` for a plain auto-encoder.
        shape: (C, H, W) of the images.
        data: what it was trained on, carried along in exports.

    Raises:
        ValueError: layers that the image is too small for.
    """

    Description = _Description

    def __init__(
        self,
        architecture: ImageModelConfig,
        *,
        posterior: Literal["gaussian", "code"] = "gaussian",
        shape: ImageShape = (1, 28, 28),
        data: dict[str, Any] | None = None,
    ) -> None:
        encoder = build_encoder(architecture, shape)
        head = PosteriorHead(
            encoder.out_features,
            architecture.latent_dim,
            posterior=posterior,
            **dict(architecture.head),
        )
        super().__init__(
            encoder,
            head,
            build_decoder(architecture, shape),
            build_likelihood(architecture.likelihood, shape[0]),
            architecture.latent_dim,
        )
        self.architecture = architecture
        self.posterior_kind: Literal["gaussian", "code"] = posterior
        self.shape = shape
        self.data = data or {}

    def description(self) -> dict[str, Any]:
        """What makes the model again, and what it takes."""
        return {
            "architecture": plain(self.architecture),
            "posterior": self.posterior_kind,
            "shape": list(self.shape),
            "input": {"layout": "channels, height, width", "range": [0, 1]},
            "data": self.data,
        }

    @classmethod
    def from_description(cls, description: _Description) -> Self:
        """Make the described model, with random weights."""
        return cls(
            description.architecture,
            posterior=description.posterior,
            shape=description.shape,
            data=description.data,
        )

    def embed(self, x: Image) -> Tensor:
        """The posterior mean of images.

        Args:
            x: (C, H, W) or (B, C, H, W), of one channel also (H, W); floating point in [0, 1], or
                uint8, whose 255 is 1.

        Returns:
            (D,) or (B, D) float32 on the CPU.

        Raises:
            ValueError: on another shape, or values that are not finite or not in [0, 1].
        """
        means = self.encode(prepared_images(x, self.shape))
        return means if np.ndim(x) == 4 else means[0]

    def reconstruct(self, x: Image) -> Tensor:
        """Encode to the posterior mean and decode to the likelihood's mean.

        Args:
            x: as in `embed`.

        Returns:
            (C, H, W) or (B, C, H, W) float32 on the CPU.
        """
        decoded = self.decode(self.encode(prepared_images(x, self.shape)))
        return decoded if np.ndim(x) == 4 else decoded[0]
