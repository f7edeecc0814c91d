"""Checks of the sizes that models are made with, and of what goes into them."""

from collections.abc import Sequence

from torch import Tensor

ImageShape = tuple[int, int, int]
"""(C, H, W)."""


def check_positive(model: str, **sizes: int | Sequence[int]) -> None:
    """Refuse sizes, or sequences of sizes, that are empty or hold anything below one.

    Raises:
        ValueError: naming ``model``, the argument and its value.
    """
    for name, value in sizes.items():
        values = (value,) if isinstance(value, int) else tuple(value)
        if not values or min(values) < 1:
            raise ValueError(f"{model}: {name} must be positive, got {value}")


def check_latent(latent: Tensor, latent_dim: int) -> None:
    """Refuse anything but a batch of latent vectors (B, latent_dim).

    Raises:
        ValueError: another shape.
    """
    if latent.dim() != 2 or latent.shape[1] != latent_dim:
        raise ValueError(f"latent must have shape (B, {latent_dim}), got {tuple(latent.shape)}")


def check_clouds(points: Tensor, at_least: int = 1) -> None:
    """Refuse anything but a batch of clouds (B, N, 3) of ``at_least`` points each.

    Raises:
        ValueError: another shape, or fewer points.
    """
    if points.dim() != 3 or points.shape[-1] != 3:
        raise ValueError(f"clouds must have shape (B, N, 3), got {tuple(points.shape)}")
    if points.shape[1] < at_least:
        raise ValueError(
            f"clouds of {points.shape[1]} points are too small: this encoder needs {at_least}"
        )


def check_images(images: Tensor, shape: ImageShape) -> None:
    """Refuse anything but a batch of images (B, C, H, W) of the ``shape`` (C, H, W).

    Raises:
        ValueError: another shape.
    """
    if images.dim() != 4 or tuple(images.shape[1:]) != shape:
        expected = ", ".join(map(str, shape))
        raise ValueError(f"images must have shape (B, {expected}), got {tuple(images.shape)}")
