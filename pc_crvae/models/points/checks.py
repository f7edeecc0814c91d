"""Checks of what goes into the point models."""

from torch import Tensor


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
