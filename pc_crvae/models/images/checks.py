"""Checks of what goes into the image models."""

import numpy as np
import torch
from torch import Tensor

ImageShape = tuple[int, int, int]
"""(C, H, W)."""


def check_images(images: Tensor, shape: ImageShape) -> None:
    """Refuse anything but a batch of images (B, C, H, W) of the ``shape`` (C, H, W).

    Raises:
        ValueError: another shape.
    """
    if images.dim() != 4 or tuple(images.shape[1:]) != shape:
        expected = ", ".join(map(str, shape))
        raise ValueError(f"images must have shape (B, {expected}), got {tuple(images.shape)}")


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
    if batch.dim() == 2:
        batch = batch[None]
    if batch.dim() == 3:
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
