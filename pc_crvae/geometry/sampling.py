"""Sample a cloud's own points evenly."""

import torch
from torch import Tensor

from pc_crvae.geometry.kernels import kernels_for


@torch.no_grad()
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
    points = points.to(torch.promote_types(points.dtype, torch.float32))
    batch, n_points, _ = points.shape
    clouds = torch.arange(batch, device=points.device)
    first = torch.zeros_like(clouds) if start is None else start
    kernels = kernels_for(points.device)
    if kernels:
        return kernels.farthest_points(points.contiguous(), count, first)  # type: ignore[no-any-return]
    chosen = torch.empty(batch, count, dtype=torch.int64, device=points.device)
    squared_distances = points.new_full((batch, n_points), torch.inf)  # to the nearest chosen
    latest = first
    for i in range(count):
        chosen[:, i] = latest
        offsets = points - points[clouds, latest].unsqueeze(1)  # (B, N, 3)
        # fmin, unlike minimum, lets a NaN distance change nothing.
        squared_distances = torch.fmin(squared_distances, offsets.square().sum(dim=2))
        squared_distances[clouds, latest] = -1.0  # never again: no distance is below it
        latest = squared_distances.max(dim=1).indices
    return chosen


def _check_arguments(points: Tensor, count: int, start: Tensor | None) -> None:
    if points.dim() != 3 or points.shape[2] != 3:
        raise ValueError(f"points must be (B, N, 3), not {tuple(points.shape)}")
    if not 1 <= count <= points.shape[1]:
        raise ValueError(
            f"count must lie between 1 and the {points.shape[1]} points, not be {count}"
        )
    if (
        start is not None
        and start.numel()
        and not 0 <= start.min() <= start.max() < points.shape[1]
    ):
        raise ValueError(f"start must lie in [0, {points.shape[1]})")
    if start is not None and (start.shape != points.shape[:1] or start.dtype != torch.int64):
        raise ValueError(
            f"start must be ({points.shape[0]},) int64, not {tuple(start.shape)} {start.dtype}"
        )
