"""Kernels for the CPU, in numba: no compiler is needed where they run.

The operations are those of `pc_crvae.geometry.kernels.operations.Kernels`, on the CPU.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pc_crvae.geometry.kernels import reference as plain
from pc_crvae.geometry.kernels.cpu import (
    columns,
    feature_search,
    octants,
    parallel,
    pooling,
    sampling,
    search,
)
from pc_crvae.geometry.kernels.cpu.folding import fold as fold
from pc_crvae.geometry.kernels.cpu.search import SortedBlocks
from pc_crvae.geometry.kernels.operations import EdgeTerms

_SORTING_PAYS = 2**25
"""Pairs of points from which on sorting two clouds costs less than comparing all pairs."""

_PRODUCT_BYTES = 4 * 2**20
"""Inner products held at once: they should stay in cache."""

_MOST_SORTED_NEIGHBORS = 128
"""Longest neighbour list that insertion keeps sorted cheaply."""

_CHANNELS = 128
"""Channels of a cloud that one thread takes at a time on the way back."""

_POINTS_FOR_BUCKETS = 4096
_CHOICES_FOR_BUCKETS = 256
"""Points of a cloud, and choices among them, from which on sampling by buckets costs less."""

_BUCKET = 1000
"""Points of a bucket, about."""


def nearest(query: Tensor, reference: Tensor) -> Tensor:
    """(B, N, D) and (B, M, D) to (B, N) int64, the lowest index of equals."""
    if query.shape[2] != 3:
        return plain.nearest(query, reference)
    queries, references = _arrays(query, reference)
    if queries.shape[1] * references.shape[1] < _SORTING_PAYS:
        return _nearest_by_scan(queries, references)
    return _nearest_by_blocks(_sorted_blocks(queries), references, _sorted_blocks(references))


def mutual_nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """`nearest` both ways."""
    if x.shape[2] != 3:
        return plain.mutual_nearest(x, y)
    first, second = _arrays(x, y)
    if first.shape[1] * second.shape[1] < _SORTING_PAYS:
        return _nearest_by_scan(first, second), _nearest_by_scan(second, first)
    of_first, of_second = _sorted_blocks(first), _sorted_blocks(second)
    return (
        _nearest_by_blocks(of_first, second, of_second),
        _nearest_by_blocks(of_second, first, of_first),
    )


def _nearest_by_scan(queries: np.ndarray, references: np.ndarray) -> Tensor:
    indices = torch.empty(queries.shape[:2], dtype=torch.int64)
    parallel.run(search.nearest_by_scan, indices.numel(), queries, references, indices.numpy())
    return indices


def _nearest_by_blocks(
    queries: SortedBlocks, references: np.ndarray, blocks: SortedBlocks
) -> Tensor:
    indices = torch.empty(queries.order.shape, dtype=torch.int64)
    arrays = queries, references, blocks, indices.numpy()
    parallel.run(search.nearest_by_blocks, indices.numel(), *arrays)
    return indices


def k_nearest(points: Tensor, k: int) -> Tensor:
    """(B, N, D) to (B, N, k) int64, nearest first, the point itself in front."""
    if not supports_k_nearest(points, k):
        return plain.k_nearest(points, k)
    neighbors = torch.empty((*points.shape[:2], k), dtype=torch.int64)
    if points.shape[2] == 3:
        blocks = _sorted_blocks(*_arrays(points))
        count = points[..., 0].numel()
        parallel.run(search.k_nearest_by_blocks, count, blocks, neighbors.numpy())
    else:
        for cloud, out in zip(points, neighbors, strict=True):
            _k_nearest_features(cloud, out)
    return neighbors


def supports_k_nearest(points: Tensor, k: int) -> bool:
    """Whether the search for neighbours can be exact and pays."""
    return k <= _MOST_SORTED_NEIGHBORS and (points.shape[2] == 3 or _products_are_exact())


def pool_neighbors(
    features: Tensor, indices: Tensor, signs: Tensor, *, with_sum: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Extreme (B, N, C), its argument (B, N, C) int32, and the sum (B, N, C) or (0, 0, 0)."""
    shape = (*indices.shape[:2], features.shape[2])
    extreme, argument = features.new_empty(shape), torch.empty(shape, dtype=torch.int32)
    total = features.new_empty(shape if with_sum else (0, 0, 0))
    points = indices[..., 0].numel()
    parallel.run(pooling.pool, points, *_arrays(features, indices, signs, extreme, argument, total))
    return extreme, argument, total


def unpool_neighbors(
    extreme_gradient: Tensor,
    argument: Tensor,
    sum_gradient: Tensor | None,
    indices: Tensor,
    n_points: int,
) -> Tensor:
    """The gradient (B, M, C) of :func:`pool_neighbors` in its features."""
    batch, _, channels = extreme_gradient.shape
    gradient = extreme_gradient.new_empty((batch, n_points, channels))
    if sum_gradient is None:
        sum_gradient = extreme_gradient.new_empty((0, 0, 0))
    parts = batch * -(-channels // _CHANNELS)
    given = _arrays(extreme_gradient, argument, sum_gradient, indices)
    parallel.run(pooling.unpool, parts, *given, _CHANNELS, gradient.numpy())
    return gradient


def edge_squares(edges: EdgeTerms) -> Tensor:
    """Sum over edges of (u_j + v_i - mean)^2, (C,) float64."""
    columns_of_edges = edges.u.shape[1]
    squares = torch.empty(columns_of_edges, dtype=torch.float64)
    terms = _edge_arrays(edges, torch.float64, edges.k)
    parallel.run(columns.edge_squares, columns_of_edges, terms, squares.numpy())
    return squares


def edge_squares_backward(edges: EdgeTerms, slope: Tensor, level: Tensor) -> Sequence[Tensor]:
    """Gradients (R, C) in u, v and s, see :func:`columns.edge_squares_backward`."""
    u = edges.u
    gradients = u.new_empty((3, *u.shape))
    terms = _edge_arrays(edges, u.dtype, u.numpy().dtype.type(edges.k))
    parallel.run(columns.edge_squares_backward, len(u), terms, *_arrays(slope, level, gradients))
    return list(gradients)


def _edge_arrays(edges: EdgeTerms, of_means: torch.dtype, k: float) -> tuple[Any, ...]:
    """What :mod:`columns` takes of edges, u_j + v_i for each point i and its k neighbours j.

    It is v and u (R, C), the sums of u over each point's neighbours (R, C), how often each point is
    a neighbour (R,), the means of v and of u over the edges (C,), and k.
    """
    means = edges.v_mean.to(of_means), edges.u_mean.to(of_means)
    return (*_arrays(edges.v, edges.u, edges.s, edges.degrees, *means), k)


def column_extremes(
    values: Tensor, centers: Tensor, signs: Tensor, squares: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Extremes (C,) of the columns of ``values`` (N, C) and the rows (C,) int64 that hold them.

    Adds the squared deviations from ``centers`` (C,) to ``squares`` (C,) float64, if given.
    """
    extreme = values.new_empty(values.shape[1])
    argument = torch.empty(values.shape[1], dtype=torch.int32)
    if squares is None:
        squares = torch.empty(0, dtype=torch.float64)
    parallel.run(
        columns.column_extremes,
        values.shape[1],
        *_arrays(values, centers, signs, extreme, argument, squares),
    )
    return extreme, argument.long()


def picked_products(features: Tensor, weight: Tensor, argument: Tensor) -> Tensor:
    """Products (B, C) of the rows of ``weight`` (C, D) with the points they picked.

    ``features`` is (B, N, D) and ``argument`` (B, C) int64 in [0, N).
    """
    products = features.new_empty(argument.shape)
    parallel.run(
        columns.picked_products, products.numel(), *_arrays(features, weight, argument, products)
    )
    return products


def picked_products_backward(
    gradient: Tensor, features: Tensor, weight: Tensor, argument: Tensor, features_gradient: Tensor
) -> Tensor:
    """The weight's gradient (C, D); the features' is added to ``features_gradient`` (B, N, D)."""
    batch, _, dimensions = features.shape
    weight_gradient = torch.empty_like(weight)
    gradients, points, weights, arguments = _arrays(gradient, features, weight, argument)
    parallel.run(
        columns.picked_products_to_features,
        batch * -(-dimensions // _CHANNELS),
        gradients,
        arguments,
        weights,
        _CHANNELS,
        features_gradient.numpy(),
    )
    parallel.run(
        columns.picked_products_to_weight,
        len(weight),
        gradients,
        arguments,
        points,
        weight_gradient.numpy(),
    )
    return weight_gradient


def farthest_points(points: Tensor, count: int, start: Tensor) -> Tensor:
    """(B, N, 3) to (B, count) int64 in order of choice."""
    chosen = torch.empty((len(points), count), dtype=torch.int64)
    clouds, *rest = _arrays(points, start, chosen)
    if points.shape[1] < _POINTS_FOR_BUCKETS or count < _CHOICES_FOR_BUCKETS:
        parallel.run(sampling.farthest_points, len(points), clouds, *rest)
    else:
        depth = max(1, round(math.log2(points.shape[1] / _BUCKET)))
        parallel.run(sampling.farthest_points_by_buckets, len(points), clouds, depth, *rest)
    return chosen


def octant_means(points: Tensor, counts: Sequence[int], signs: Tensor) -> Tensor:
    """(B, N, 3) to (B, V, N, 24 S), of the ``counts`` nearest other points; they rise, and fit."""
    means = points.new_empty((len(points), len(signs), points.shape[1], len(counts), 8, 3))
    blocks = _sorted_blocks(*_arrays(points))
    count = len(points) * blocks.boxes.shape[2]
    parallel.run(octants.octant_means, count, blocks, np.array(counts), *_arrays(signs, means))
    return means.flatten(3)


def _sorted_blocks(points: np.ndarray) -> SortedBlocks:
    batch, count, _ = points.shape
    blocks = -(-count // search.BLOCK)
    order = np.empty((batch, count), np.int64)
    coordinates = np.empty((batch, 3, blocks * search.BLOCK), points.dtype)
    boxes = np.empty((batch, 6, blocks), points.dtype)
    parallel.run(search.sort_along_curve, batch, points, order, coordinates, boxes)
    return SortedBlocks(order, coordinates, boxes, _regions(boxes))


def _regions(boxes: np.ndarray) -> np.ndarray:
    """The boxes (B, 6, R) about each `search.REGION` consecutive ones of (B, 6, n)."""
    starts = np.arange(0, boxes.shape[2], search.REGION)
    lower = np.minimum.reduceat(boxes[:, :3], starts, axis=2)
    upper = np.maximum.reduceat(boxes[:, 3:], starts, axis=2)
    return np.concatenate([lower, upper], axis=1)


def _products_are_exact() -> bool:
    """Whether matrix products are of float32 itself, on which the bound on their error rests."""
    try:
        return torch.get_float32_matmul_precision() == "highest"
    except RuntimeError:  # set below it by the newer `torch.backends`, which this refuses to read
        return False


def _k_nearest_features(cloud: Tensor, out: Tensor) -> None:
    """Fill ``out`` (N, k) with the neighbours within ``cloud`` (N, D)."""
    count, dimensions = cloud.shape
    centered = cloud - cloud.mean(dim=0)
    squares = centered.square().sum(dim=1)
    # Of a D-term sum of products, its order unknown, of the distance it is compared with, and of
    # the operations around them, centring among them.
    slack = 2 * (dimensions + 8) * torch.finfo(cloud.dtype).eps
    rows_step = max(1, _PRODUCT_BYTES // (count * cloud.element_size()))
    products = cloud.new_empty((min(rows_step, count), count))
    with torch.autocast("cpu", enabled=False):
        for first in range(0, count, rows_step):
            part = centered[first : first + rows_step]
            own = products[: len(part)]
            torch.mm(part, centered.t(), out=own)
            given = *_arrays(cloud, squares, own), slack, first, out.numpy()
            parallel.run(feature_search.rank_candidates, len(part), *given)


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.contiguous().numpy() for tensor in tensors]
