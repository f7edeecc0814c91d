"""What models of images share as a user holds them: they take images, and give images back."""

from abc import abstractmethod
from typing import Annotated, ClassVar

import numpy as np
import pydantic
import torch
from torch import Tensor

from pc_crvae.config import Section
from pc_crvae.models.checks import ImageShape
from pc_crvae.models.pretrained import Description, Pretrained

Image = Tensor | np.ndarray
"""(C, H, W) or (B, C, H, W), of one channel also (H, W): floating point in [0, 1], or uint8."""


_Size = Annotated[int, pydantic.Field(ge=1)]


class ImageDescription(Description):
    """That of a model of images of one size."""

    shape: tuple[_Size, _Size, _Size]


class PretrainedOfImages(Pretrained):
    """A model of images of one size."""

    modality = "images"
    input: ClassVar = {"layout": "channels, height, width", "range": [0, 1]}
    architecture: Section
    shape: ImageShape

    def embed(self, x: Image) -> Tensor:
        """The posterior mean of images; of several latent groups, along the path of means.

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

    def latents(self, x: Image) -> Tensor:
        """The posterior mean of images, which is what `embed` gives."""
        return self.embed(x)

    def reconstruct(self, x: Image) -> Tensor:
        """Encode to the posterior mean and decode to the likelihood's mean.

        Args:
            x: the images, as `embed` takes them.

        Returns:
            (C, H, W) or (B, C, H, W) float32 on the CPU.
        """
        decoded = self._decoded_means(prepared_images(x, self.shape))
        return decoded if np.ndim(x) == 4 else decoded[0]

    @abstractmethod
    def _decoded_means(self, x: Tensor) -> Tensor:
        """What the posterior means of prepared images (B, C, H, W) decode to, on the CPU."""


def prepared_images(images: Tensor | np.ndarray, shape: ImageShape) -> Tensor:
    """A user's images as the models take them: (B, C, H, W) float32 in [0, 1], on the CPU.

    Args:
        images: (C, H, W) or (B, C, H, W), of one channel also (H, W); floating point in [0, 1], or
            uint8, whose 255 is 1.
        shape: (C, H, W) of the model's images.

    Raises:
        ValueError: on another shape, or values that are not finite or not in [0, 1].
    """
    if isinstance(images, Tensor):
        images = images.detach().cpu().numpy()
    levels = 255 if images.dtype == np.uint8 else 1
    # A copy, because torch takes no array with negative strides.
    batch = torch.from_numpy(np.array(images, dtype=np.float32)) / levels
    while batch.dim() in (2, 3):
        batch = batch[None]
    if batch.dim() != 4 or tuple(batch.shape[1:]) != shape or len(batch) == 0:
        expected = ", ".join(map(str, shape))
        raise ValueError(
            f"images must be ({expected}) or (B, {expected}), not {tuple(images.shape)}"
        )
    if not torch.isfinite(batch).all():
        raise ValueError("images hold NaN or infinite values")
    if batch.min() < 0 or batch.max() > 1:
        raise ValueError(
            f"images hold values from {batch.min():g} to {batch.max():g}: scale them to [0, 1], "
            "or give uint8"
        )
    return batch
