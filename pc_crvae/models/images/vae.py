"""The image model as a user holds it: embed, reconstruct, sample, interpolate, save."""

from functools import partial
from typing import Any, Literal

from torch import Tensor

from pc_crvae.config.images import ImageModelConfig
from pc_crvae.models.checks import ImageShape
from pc_crvae.models.images.build import build_likelihood
from pc_crvae.models.images.pretrained import ImageDescription, PretrainedOfImages
from pc_crvae.models.pretrained_vae import PretrainedVAE
from pc_crvae.models.registry import IMAGE_DECODERS, IMAGE_ENCODERS


class _Description(ImageDescription):
    architecture: ImageModelConfig
    posterior: Literal["gaussian", "code"]


class ImageVAE(PretrainedOfImages, PretrainedVAE):
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
    architecture: ImageModelConfig

    def __init__(
        self,
        architecture: ImageModelConfig,
        *,
        posterior: Literal["gaussian", "code"] = "gaussian",
        shape: ImageShape = (1, 28, 28),
        data: dict[str, Any] | None = None,
    ) -> None:
        encoding, decoding = architecture.encoder, architecture.decoder
        channels, height, width = shape
        parameters, make_likelihood = build_likelihood(architecture.likelihood, channels)
        made = (parameters, height, width)
        super().__init__(
            architecture,
            posterior,
            data,
            encoder=IMAGE_ENCODERS[encoding.name](shape, **encoding.arguments()),
            make_decoder=partial(IMAGE_DECODERS[decoding.name], shape=made, **decoding.arguments()),
            make_likelihood=make_likelihood,
        )
        self.shape = shape

    def _decoded_means(self, x: Tensor) -> Tensor:
        return self.reconstructions(x)
