"""Exact nearest-neighbour search, by fast kernels or by brute force in blocks of bounded memory.

Every choice is made by norms of differences. The expansion |x|^2 - 2 x.y + |y|^2 is a matrix
product, but it cancels: in float32 it misorders the neighbours of clouds that are small beside
their distance from the origin, and no longer gives equal distances to duplicates. Distances
between about 1e-19 and 1e19 keep their order in float32; beyond that their squares leave its
range.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from pc_crvae.geometry.kernels import kernels_for

# Scratch memory of one block of distances. On a CPU a block should stay in cache; an
# accelerator wants few, large kernels.
_CPU_BLOCK_BYTES = 2 * 2**20
_ACCELERATOR_BLOCK_BYTES = 32 * 2**20


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
    kernels = kernels_for(query.device)
    if kernels and query.shape[2] == 3:
        return kernels.nearest(*_searchable(query, reference))  # type: ignore[no-any-return]
    indices = torch.empty(query.shape[:2], dtype=torch.int64, device=query.device)
    for clouds, rows, distances in _distance_blocks(query, reference):
        indices[clouds, rows] = distances.min(dim=2).indices
    return indices


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
    kernels = kernels_for(x.device)
    if kernels and x.shape[2] == 3:
        x, y = _searchable(x, y)
        return kernels.nearest(x, y), kernels.nearest(y, x)
    x_to_y = torch.empty(x.shape[:2], dtype=torch.int64, device=x.device)
    y_to_x = torch.zeros(y.shape[:2], dtype=torch.int64, device=x.device)
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    nearest = torch.full(y.shape[:2], torch.inf, dtype=dtype, device=x.device)
    for clouds, rows, distances in _distance_blocks(x, y):
        x_to_y[clouds, rows] = distances.min(dim=2).indices
        block_nearest, block_indices = distances.min(dim=1)
        # Blocks come in order of rows, so a strict comparison keeps the lowest index.
        nearer = block_nearest < nearest[clouds]
        nearest[clouds] = torch.where(nearer, block_nearest, nearest[clouds])
        y_to_x[clouds] = torch.where(nearer, block_indices + rows.start, y_to_x[clouds])
    return x_to_y, y_to_x


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
    kernels = kernels_for(points.device)
    if kernels and kernels.supports_k_nearest(points, k):
        (points,) = _searchable(points)
        return kernels.k_nearest(points, k)  # type: ignore[no-any-return]
    indices = torch.empty((*points.shape[:2], k), dtype=torch.int64, device=points.device)
    for clouds, rows, distances in _distance_blocks(points, points):
        distances.diagonal(offset=rows.start, dim1=1, dim2=2).fill_(-1.0)  # itself first
        indices[clouds, rows] = distances.topk(k, dim=2, largest=False).indices
    return indices


def _distance_blocks(query: Tensor, reference: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield (clouds, rows, distances): each block holds (b, n, M) distances.

    The distances lie between the query points that ``clouds`` and ``rows`` select and all
    reference points of their clouds. Whole clouds are taken together as long as they fit,
    otherwise some rows of one cloud; a block exceeds its budget only where one row does.
    """
    query, reference = _searchable(query, reference)
    batch, n_query, n_reference = *query.shape[:2], reference.shape[1]
    budget = _CPU_BLOCK_BYTES if query.device.type == "cpu" else _ACCELERATOR_BLOCK_BYTES
    rows_that_fit = max(1, budget // (n_reference * query.element_size()))
    clouds_step = max(1, rows_that_fit // max(1, n_query))
    rows_step = min(rows_that_fit, max(1, n_query))
    for cloud in range(0, batch, clouds_step):
        clouds = slice(cloud, min(cloud + clouds_step, batch))
        for row in range(0, n_query, rows_step):
            rows = slice(row, min(row + rows_step, n_query))
            # Not the matrix product, which would cancel and which autocast would blur.
            distances = torch.cdist(
                query[clouds, rows],
                reference[clouds],
                compute_mode="donot_use_mm_for_euclid_dist",
            )
            yield clouds, rows, distances


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
