"""The Chamfer distance between point clouds, in its named variants."""

from typing import Literal

import torch
from torch import Tensor

from pc_crvae.geometry.gather import gather_points
from pc_crvae.geometry.neighbors import mutual_nearest_neighbors

Directions = Literal["sum", "mean", "max"]


def chamfer_distance(
    x: Tensor, y: Tensor, *, squared: bool = True, directions: Directions = "sum"
) -> Tensor:
    r"""Return the Chamfer distance of each pair of clouds.

    One direction is the mean, over the points of one cloud, of the distance to the nearest
    point of the other:

        d(x -> y) = 1/N sum_i min_j ||x_i - y_j||^p,  p = 2 if ``squared`` else 1.

    ``squared=True, directions="sum"`` is the common form (Fan et al. 2017, "A Point Set
    Generation Network for 3D Object Reconstruction from a Single Image", with means for
    sums); ``squared=False, directions="max"`` is FoldingNet's (Yang et al. 2018, eq. 1).

    The nearest neighbours are held fixed in the gradient, which is exact wherever they are
    unique. Coincident points have zero gradient, also un-squared. No N x M matrix is held.
    Computed in float32 whatever the autocast or a lower dtype; float64 stays float64. A
    NaN in either cloud makes the distance of that pair NaN.

    Args:
        x: (B, N, 3).
        y: (B, M, 3), in the same unit of length.
        squared: squared Euclidean distances (unit of length squared) or plain ones.
        directions: the way in which the two directions are joined.

    Returns:
        (B,), one distance per pair; 0 for clouds that are equal as sets.

    Raises:
        ValueError: shapes that do not match, an empty cloud, or an unknown ``directions``.
    """
    _check_arguments(x, y, directions)
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    x, y = x.to(dtype), y.to(dtype)  # no operation below is one that autocast lowers
    x_to_y, y_to_x = mutual_nearest_neighbors(x, y)
    forward = _one_direction(x, gather_points(y, x_to_y), squared)  # (B,)
    backward = _one_direction(y, gather_points(x, y_to_x), squared)  # (B,)
    if directions == "max":
        return torch.maximum(forward, backward)
    return forward + backward if directions == "sum" else (forward + backward) / 2


def _one_direction(points: Tensor, nearest: Tensor, squared: bool) -> Tensor:
    """Mean distance of (B, N, 3) points to their (B, N, 3) nearest neighbours: (B,)."""
    offsets = points - nearest
    if squared:
        return offsets.square().sum(dim=2).mean(dim=1)
    # vector_norm, unlike the root of a sum, has gradient zero at a zero offset.
    distances: Tensor = torch.linalg.vector_norm(offsets, dim=2)
    return distances.mean(dim=1)


def _check_arguments(x: Tensor, y: Tensor, directions: str) -> None:
    if directions not in ("sum", "mean", "max"):
        raise ValueError(f"directions must be 'sum', 'mean' or 'max', not {directions!r}")
    for name, cloud in (("x", x), ("y", y)):
        if cloud.dim() != 3 or cloud.shape[2] != 3 or cloud.shape[1] == 0:
            raise ValueError(
                f"{name} must be clouds of at least one point, (B, N, 3), not {tuple(cloud.shape)}"
            )
    if x.shape[0] != y.shape[0]:
        raise ValueError(f"x holds {x.shape[0]} clouds and y {y.shape[0]}")
