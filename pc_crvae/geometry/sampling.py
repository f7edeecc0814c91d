"""Sample a cloud's own points evenly."""

import torch
from torch import Tensor

from pc_crvae.geometry.kernels import kernels_for
from pc_crvae.utils.differentiation import is_transformed


def farthest_point_sampling(points: Tensor, count: int, start: Tensor | None = None) -> Tensor:
    """Choose points one after another, each the farthest from those already chosen.

    The greedy rule of Eldar et al. 1997, "The Farthest Point Strategy for Progressive Image
    Sampling", as used by PointNet++. No index repeats, even where points coincide.

    Args:
        points: (B, N, 3), any floating dtype; below float32 it is searched in float32.
        count: points to choose; 1 <= count <= N.
        start: (B,) int64 in [0, N), the first choice in each cloud; None starts all at 0.

    Returns:
        (B, count) int64 in order of choice; among equally far points the lowest index.
        Carries no gradient.

    Raises:
        ValueError: points that are not (B, N, 3), a count outside [1, N], or a start that
            is not (B,) int64.
    """
    _check_arguments(points, count, start)
    points = points.detach().to(torch.promote_types(points.dtype, torch.float32))
    if start is None:
        start = torch.zeros(points.shape[0], dtype=torch.int64, device=points.device)
    return kernels_for(points.device).farthest_points(points.contiguous(), count, start)


def _check_arguments(points: Tensor, count: int, start: Tensor | None) -> None:
    if points.dim() != 3 or points.shape[2] != 3:
        raise ValueError(f"points must be (B, N, 3), not {tuple(points.shape)}")
    if not 1 <= count <= points.shape[1]:
        raise ValueError(
            f"count must lie between 1 and the {points.shape[1]} points, not be {count}"
        )
    if start is None:
        return
    to_look_at = start.numel() > 0 and not is_transformed()
    if to_look_at and not 0 <= start.min() <= start.max() < points.shape[1]:
        raise ValueError(f"start must lie in [0, {points.shape[1]})")
    if start.shape != points.shape[:1] or start.dtype != torch.int64:
        raise ValueError(
            f"start must be ({points.shape[0]},) int64, not {tuple(start.shape)} {start.dtype}"
        )
