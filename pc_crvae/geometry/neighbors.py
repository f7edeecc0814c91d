"""Exact nearest-neighbour search.

Every choice is made by norms of differences. The expansion |x|^2 - 2 x.y + |y|^2 is a matrix
product, but it cancels: in float32 it misorders the neighbours of clouds that are small beside
their distance from the origin, and no longer gives equal distances to duplicates. Distances
between about 1e-19 and 1e19 keep their order in float32; beyond that their squares leave its
range.
"""

import torch
from torch import Tensor

from pc_crvae.geometry.kernels import kernels_for


def nearest_neighbors(query: Tensor, reference: Tensor) -> Tensor:
    """Return, for each query point, the index of the nearest reference point.

    Args:
        query: (B, N, D), any floating dtype; below float32 it is searched in float32.
        reference: (B, M, D).

    Returns:
        (B, N) int64 in [0, M); among equally near points the lowest index. Carries no
        gradient.

    Raises:
        ValueError: shapes that do not match, or no reference point.
    """
    _check_clouds(query, reference)
    return kernels_for(query.device).nearest(*_searchable(query, reference))


def mutual_nearest_neighbors(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the nearest neighbours of x in y and of y in x.

    Args:
        x: (B, N, D), any floating dtype; below float32 it is searched in float32.
        y: (B, M, D).

    Returns:
        (B, N) indices into y and (B, M) indices into x, int64; among equally near points
        the lowest index. Neither carries a gradient.

    Raises:
        ValueError: shapes that do not match, or an empty cloud.
    """
    _check_clouds(x, y)
    _check_clouds(y, x)
    return kernels_for(x.device).mutual_nearest(*_searchable(x, y))


def k_nearest_neighbors(points: Tensor, k: int) -> Tensor:
    """Return the k nearest points of each point within its own cloud.

    Args:
        points: (B, N, D), any floating dtype; below float32 it is searched in float32.
        k: neighbours a point, itself included; 1 <= k <= N.

    Returns:
        (B, N, k) int64, nearest first. A point comes first among its own neighbours, also
        where others coincide with it; the order of other ties is unspecified. Carries no
        gradient.

    Raises:
        ValueError: points that are not (B, N, D), or k outside [1, N].
    """
    _check_clouds(points, points)
    if not 1 <= k <= points.shape[1]:
        raise ValueError(f"k must lie between 1 and the {points.shape[1]} points, not be {k}")
    (points,) = _searchable(points)
    return kernels_for(points.device).k_nearest(points, k)


def _searchable(*clouds: Tensor) -> list[Tensor]:
    """The clouds without gradient, in float32, or in float64 if one of them has it."""
    dtype = torch.float32
    for cloud in clouds:
        dtype = torch.promote_types(dtype, cloud.dtype)
    return [cloud.detach().to(dtype) for cloud in clouds]


def _check_clouds(query: Tensor, reference: Tensor) -> None:
    if query.dim() != 3 or reference.dim() != 3:
        raise ValueError(
            "clouds must be (B, N, D) and (B, M, D), not "
            f"{tuple(query.shape)} and {tuple(reference.shape)}"
        )
    if query.shape[0] != reference.shape[0] or query.shape[2] != reference.shape[2]:
        raise ValueError(
            "clouds must agree in batch size and dimension; got "
            f"{tuple(query.shape)} and {tuple(reference.shape)}"
        )
    if reference.shape[1] == 0:
        raise ValueError("a nearest neighbour needs a point: the reference cloud is empty")
