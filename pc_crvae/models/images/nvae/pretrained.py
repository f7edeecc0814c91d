"""NVAE as a user holds it: saved, loaded, sampled from."""

from typing import Annotated, Any, Self

import pydantic
import torch
from torch import Tensor

from pc_crvae.config import NVAEModelConfig, plain
from pc_crvae.models.images.build import build_likelihood, likelihood_parameters
from pc_crvae.models.images.checks import ImageShape, prepared_images
from pc_crvae.models.images.nvae.model import NVAE
from pc_crvae.models.images.vae import Image
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.models.vae import evaluating
from pc_crvae.randomness import Draws, keyed_generator

_Size = Annotated[int, pydantic.Field(ge=1)]


class _Description(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    architecture: NVAEModelConfig
    shape: tuple[_Size, _Size, _Size]
    data: dict[str, Any]


class PretrainedNVAE(NVAE, Pretrained):
    """An NVAE that is saved to a folder and loaded from it.

    Args:
        architecture: its groups, and the likelihood.
        shape: (C, H, W) of the images.
        data: what it was trained on, carried along in exports.
    """

    Description = _Description

    def __init__(
        self,
        architecture: NVAEModelConfig,
        *,
        shape: ImageShape = (1, 28, 28),
        data: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            architecture,
            shape,
            likelihood_parameters(architecture.likelihood, shape[0]),
            build_likelihood(architecture.likelihood, shape[0]),
        )
        self.architecture = architecture
        self.shape = shape
        self.data = data or {}

    def description(self) -> dict[str, Any]:
        """What makes the model again, and what it takes."""
        return {
            "architecture": plain(self.architecture),
            "shape": list(self.shape),
            "input": {"layout": "channels, height, width", "range": [0, 1]},
            "data": self.data,
        }

    @classmethod
    def from_description(cls, description: _Description) -> Self:
        """Make the described model, with random weights."""
        return cls(description.architecture, shape=description.shape, data=description.data)

    def embed(self, x: Image) -> Tensor:
        """The representation of images: the groups' means, along the path of means.

        Args:
            x: (C, H, W) or (B, C, H, W), of one channel also (H, W); floating point in [0, 1], or
                uint8, whose 255 is 1.

        Returns:
            (D,) or (B, D) float32 on the CPU.

        Raises:
            ValueError: on another shape, or values that are not finite or not in [0, 1].
        """
        means = self.encode(prepared_images(x, self.shape))
        return means if x.ndim == 4 else means[0]

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """The likelihood's means at ``count`` draws of the prior: (count, C, H, W) on the CPU."""
        draws = Draws(keyed_generator("sample", seed, device=self.device), count)
        with evaluating(self), torch.no_grad():
            return self.likelihood(self.prior().sample(draws)).mean.cpu()
