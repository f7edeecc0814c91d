"""Triton kernels for CUDA: neighbour searches, pooling over neighbours, farthest points.

Importing this module imports Triton, so it is imported only where a CUDA tensor asks for it.
The operations are those of `pc_crvae.geometry.kernels.operations.Kernels`, on one device.

Squared distances are (dx dx + dy dy) + dz dz with every operation rounded by itself (the
compiler may not contract them to fused multiply-adds), which is what a CPU computes: ties are
ties on both, and one device chooses the points that the other does. Indices within a cloud are
int32 (a cloud has fewer than 2^31 points), offsets into memory int64.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
import triton
import triton.language as tl
from torch import Tensor

from pc_crvae.geometry.kernels import reference as plain

# A search program holds a tile of queries x columns in registers; each of its lanes keeps the
# best of the points that passed through it, and lanes are compared once at the end. Heights
# keep a thread near 120 registers in either dtype. The k nearest compare their lanes k times,
# which within one warp needs no barrier.
_COLUMNS = 128
_NEAREST_ROW_BYTES = 64
_K_NEAREST_ROW_BYTES = 16
_MOST_NEIGHBORS = 64  # many more would share lanes, and each that does may cost a sweep
_FARTHEST_COLUMNS = 2048
_POOL_ROWS = 16
_POOL_COLUMNS = 64
_ROUND_EACH_OPERATION = {"enable_fp_fusion": False}

# At these plain PyTorch is as fast.
edge_squares = plain.edge_squares
edge_squares_backward = plain.edge_squares_backward
column_extremes = plain.column_extremes
picked_products = plain.picked_products
picked_products_backward = plain.picked_products_backward
fold = plain.fold


def nearest(query: Tensor, reference: Tensor) -> Tensor:
    """Return, for each query point, the index of the nearest reference point.

    Args:
        query: (B, N, D) float32 or float64; plain PyTorch serves where D is not 3.
        reference: (B, M, D) of the same dtype, M >= 1.

    Returns:
        (B, N) int64, the lowest index among equally near points. A distance that is NaN is
        never the smallest; where all are, the index is 0.
    """
    if query.shape[2] != 3:
        return plain.nearest(query, reference)
    query, reference = query.contiguous(), reference.contiguous()
    batch, n_query, _ = query.shape
    indices = torch.empty(batch, n_query, dtype=torch.int64, device=query.device)
    rows = _NEAREST_ROW_BYTES // query.element_size()
    with _device_of(query):
        _nearest_kernel[(batch * triton.cdiv(n_query, rows),)](
            query,
            reference,
            indices,
            n_query,
            reference.shape[1],
            rows=rows,
            columns=_COLUMNS,
            **_ROUND_EACH_OPERATION,
        )
    return indices


def mutual_nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """`nearest` both ways."""
    if x.shape[2] != 3:
        return plain.mutual_nearest(x, y)
    return nearest(x, y), nearest(y, x)


def supports_k_nearest(points: Tensor, k: int) -> bool:
    """Whether the search for neighbours takes these points and is expected to pay."""
    return points.shape[2] == 3 and k <= _MOST_NEIGHBORS


def k_nearest(points: Tensor, k: int) -> Tensor:
    """Return the k nearest points of each point within its own cloud.

    No list of candidates fits a tile of registers, so the columns are swept, keeping the two
    best of each lane, until k are found: once or twice on usual clouds, at most k times.

    Args:
        points: (B, N, D) float32 or float64; plain PyTorch serves where
            it is expected to be faster.
        k: neighbours a point, itself included; 1 <= k <= N.

    Returns:
        (B, N, k) int64, nearest first: the point itself, then by distance, the lowest index
        first among equally near points. Distances that are NaN or overflow come last.
    """
    if not supports_k_nearest(points, k):
        return plain.k_nearest(points, k)
    points = points.contiguous()
    batch, count, _ = points.shape
    indices = torch.empty(batch, count, k, dtype=torch.int64, device=points.device)
    rows = _K_NEAREST_ROW_BYTES // points.element_size()
    with _device_of(points):
        _k_nearest_kernel[(batch * triton.cdiv(count, rows),)](
            points,
            indices,
            count,
            k,
            farthest=torch.finfo(points.dtype).max,
            rows=rows,
            columns=_COLUMNS,
            num_warps=1,
            **_ROUND_EACH_OPERATION,
        )
    return indices


def octant_means(points: Tensor, counts: Sequence[int]) -> Tensor:
    """See `Kernels.octant_means`: what is fast here is the search for neighbours."""
    return plain.octant_means_of(points, k_nearest(points, counts[-1] + 1), counts)


def pool_neighbors(
    features: Tensor, indices: Tensor, signs: Tensor, *, with_sum: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the extreme over each point's neighbours, where it lies, and the sum over them.

    Args:
        features: (B, M, C) float32 or float64.
        indices: (B, N, k) int64 in [0, M), k >= 1.
        signs: (C,) of the features' dtype, 1 where the largest counts and -1 where the smallest.
        with_sum: also sum.

    Returns:
        extreme (B, N, C), NaN where a neighbour is; argument (B, N, C) int32, the index in
        [0, M) of the first neighbour that has the extreme; sum (B, N, C), added in the order
        of the neighbours, or (0, 0, 0).
    """
    features, indices, signs = features.contiguous(), indices.contiguous(), signs.contiguous()
    batch, n_features, channels = features.shape
    _, n_points, k = indices.shape
    extreme = features.new_empty(batch, n_points, channels)
    argument = torch.empty(extreme.shape, dtype=torch.int32, device=features.device)
    total = features.new_empty(extreme.shape if with_sum else (0, 0, 0))
    grid, rows, columns = _pool_grid(batch * n_points, channels)
    with _device_of(features):
        _pool_kernel[grid](
            features,
            indices,
            signs,
            extreme,
            argument,
            total if with_sum else None,
            batch * n_points,
            n_points,
            n_features,
            k,
            channels,
            rows=rows,
            columns=columns,
        )
    return extreme, argument, total


def unpool_neighbors(
    extreme_gradient: Tensor,
    argument: Tensor,
    sum_gradient: Tensor | None,
    indices: Tensor,
    n_points: int,
) -> Tensor:
    """Return the gradient of :func:`pool_neighbors` in its features.

    The kernel adds with atomics, in an order that differs from run to run, and so do the last
    bits of the result. Under `torch.use_deterministic_algorithms` sorted additions of torch
    take its place, several times slower.

    Args:
        extreme_gradient: (B, N, C) float32 or float64.
        argument: (B, N, C) int32, as :func:`pool_neighbors` gave it.
        sum_gradient: (B, N, C), or None where the sum was not used.
        indices: (B, N, k) int64, as :func:`pool_neighbors` took them.
        n_points: M.

    Returns:
        (B, M, C).
    """
    if torch.are_deterministic_algorithms_enabled():
        return plain.unpool_neighbors(extreme_gradient, argument, sum_gradient, indices, n_points)
    extreme_gradient, indices = extreme_gradient.contiguous(), indices.contiguous()
    if sum_gradient is not None:
        sum_gradient = sum_gradient.contiguous()
    batch, n_rows, channels = extreme_gradient.shape
    gradient = extreme_gradient.new_zeros(batch, n_points, channels)
    grid, rows, columns = _pool_grid(batch * n_rows, channels)
    with _device_of(gradient):
        _unpool_kernel[grid](
            extreme_gradient,
            argument.contiguous(),
            sum_gradient,
            indices,
            gradient,
            batch * n_rows,
            n_rows,
            n_points,
            indices.shape[2],
            channels,
            rows=rows,
            columns=columns,
        )
    return gradient


def farthest_points(points: Tensor, count: int, start: Tensor) -> Tensor:
    """Choose points one after another, each the farthest from those already chosen.

    One program serves one cloud, since every choice waits for the one before.

    Args:
        points: (B, N, 3) float32 or float64.
        count: points to choose; 1 <= count <= N.
        start: (B,) int64 in [0, N), the first choice in each cloud.

    Returns:
        (B, count) int64 in order of choice, no index twice, the lowest index among equally
        far points. A distance that is NaN is passed over, so a point with a NaN coordinate
        stays infinitely far until it is chosen.
    """
    points, start = points.contiguous(), start.contiguous()
    batch, n_points, _ = points.shape
    chosen = torch.empty(batch, count, dtype=torch.int64, device=points.device)
    squared_distances = points.new_full((batch, n_points), torch.inf)
    with _device_of(points):
        _farthest_kernel[(batch,)](
            points,
            start,
            squared_distances,
            chosen,
            n_points,
            count,
            columns=min(_FARTHEST_COLUMNS, triton.next_power_of_2(n_points)),
            num_warps=8,
            **_ROUND_EACH_OPERATION,
        )
    return chosen


def _device_of(tensor: Tensor) -> AbstractContextManager[None]:
    """Make the tensor's device the current one, on which Triton launches; a CPU changes nothing."""
    return torch.cuda.device_of(tensor)  # type: ignore[no-untyped-call]


def _pool_grid(n_rows: int, channels: int) -> tuple[tuple[int, int], int, int]:
    """Return the grid, and the rows and channels a program serves; narrow features get more rows.

    Rows lie on the grid's first axis, the only one that may exceed 65,535.
    """
    columns = min(_POOL_COLUMNS, triton.next_power_of_2(max(1, channels)))
    rows = _POOL_ROWS * _POOL_COLUMNS // columns
    return (triton.cdiv(n_rows, rows), triton.cdiv(channels, columns)), rows, columns


@triton.jit
def _load_points(points: tl.tensor, mask: tl.tensor, fill: tl.constexpr) -> tl.tensor:
    """Return x, y and z of the points whose first coordinates ``points`` points to."""
    x = tl.load(points, mask=mask, other=fill)
    y = tl.load(points + 1, mask=mask, other=fill)
    z = tl.load(points + 2, mask=mask, other=fill)
    return x, y, z


@triton.jit
def _squared_distance(
    x: tl.tensor, y: tl.tensor, z: tl.tensor, a: tl.tensor, b: tl.tensor, c: tl.tensor
) -> tl.tensor:
    """Return the squared distance of (x, y, z) from (a, b, c), broadcast."""
    dx = x - a
    dy = y - b
    dz = z - c
    return dx * dx + dy * dy + dz * dz


@triton.jit
def _nearest_kernel(
    query: tl.tensor,  # (B, N, 3)
    reference: tl.tensor,  # (B, M, 3)
    indices: tl.tensor,  # (B, N) int64
    n_query: tl.tensor,
    n_reference: tl.tensor,
    rows: tl.constexpr,
    columns: tl.constexpr,
) -> None:
    blocks = tl.cdiv(n_query, rows)
    cloud = (tl.program_id(0) // blocks).to(tl.int64)
    row = (tl.program_id(0) % blocks) * rows + tl.arange(0, rows)
    row_offset = cloud * n_query + row
    x, y, z = _load_points(query + row_offset * 3, row < n_query, 0.0)

    best = tl.full((rows, columns), float("inf"), query.dtype.element_ty)
    index = tl.full((rows, columns), n_reference, tl.int32)
    for first in range(0, n_reference, columns):
        column = first + tl.arange(0, columns)
        # Columns past the end are NaN, which never wins.
        a, b, c = _load_points(
            reference + (cloud * n_reference + column) * 3, column < n_reference, float("nan")
        )
        distance = _squared_distance(
            x[:, None], y[:, None], z[:, None], a[None, :], b[None, :], c[None, :]
        )
        # A lane sees its columns in increasing order: strictly nearer keeps the lowest index.
        # An overflowed distance still beats none at all.
        nearer = (distance < best) | ((distance == best) & (index == n_reference))
        best = tl.where(nearer, distance, best)
        index = tl.where(nearer, column[None, :], index)

    nearest_distance = tl.min(best, axis=1)
    winner = tl.min(tl.where(best == nearest_distance[:, None], index, n_reference), axis=1)
    winner = tl.where(winner == n_reference, 0, winner)
    tl.store(indices + row_offset, winner.to(tl.int64), mask=row < n_query)


@triton.jit
def _k_nearest_kernel(
    points: tl.tensor,  # (B, N, 3)
    indices: tl.tensor,  # (B, N, k) int64
    count: tl.tensor,
    k: tl.tensor,
    farthest: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
) -> None:
    blocks = tl.cdiv(count, rows)
    cloud = (tl.program_id(0) // blocks).to(tl.int64)
    row = (tl.program_id(0) % blocks) * rows + tl.arange(0, rows)
    row_offset = cloud * count + row
    x, y, z = _load_points(points + row_offset * 3, row < count, 0.0)

    dtype: tl.constexpr = points.dtype.element_ty
    none: tl.constexpr = 2147483647
    # Neighbours are ordered by (distance, index); the last one found bounds the next sweep.
    last_distance = tl.full((rows,), -float("inf"), dtype)
    last_index = tl.full((rows,), -1, tl.int32)
    found = tl.where(row < count, 0, k).to(tl.int32)
    while tl.min(found) < k:
        first = tl.full((rows, columns), float("inf"), dtype)
        second = tl.full((rows, columns), float("inf"), dtype)
        first_index = tl.full((rows, columns), none, tl.int32)
        second_index = tl.full((rows, columns), none, tl.int32)
        for start in range(0, count, columns):
            column = start + tl.arange(0, columns)
            a, b, c = _load_points(
                points + (cloud * count + column) * 3, column < count, float("nan")
            )
            distance = _squared_distance(
                x[:, None], y[:, None], z[:, None], a[None, :], b[None, :], c[None, :]
            )
            # Nothing is as far as no point at all, and columns past the end, being NaN too,
            # come after the cloud's own: they are never reached, as k <= N.
            distance = tl.where(distance < farthest, distance, farthest)
            distance = tl.where(column[None, :] == row[:, None], -1.0, distance)
            later = (distance > last_distance[:, None]) | (
                (distance == last_distance[:, None]) & (column[None, :] > last_index[:, None])
            )
            distance = tl.where(later, distance, float("inf"))
            is_first = distance < first
            is_second = distance < second
            second = tl.where(is_first, first, tl.where(is_second, distance, second))
            second_index = tl.where(
                is_first, first_index, tl.where(is_second, column[None, :], second_index)
            )
            first = tl.where(is_first, distance, first)
            first_index = tl.where(is_first, column[None, :], first_index)

        # Take neighbours in order as long as each lane's next is known.
        known = found < k
        while tl.max(known.to(tl.int32)) > 0:
            smallest = tl.min(first, axis=1)
            winner = tl.min(tl.where(first == smallest[:, None], first_index, none), axis=1)
            tl.store(indices + row_offset * k + found, winner.to(tl.int64), mask=known)
            found += known.to(tl.int32)
            last_distance = tl.where(known, smallest, last_distance)
            last_index = tl.where(known, winner, last_index)
            taken = first_index == winner[:, None]
            # -1 in place of a second marks a lane that has given both.
            spent = tl.max((taken & (second_index == -1)).to(tl.int32), axis=1)
            first = tl.where(taken, second, first)
            first_index = tl.where(taken, second_index, first_index)
            second = tl.where(taken, float("inf"), second)
            second_index = tl.where(taken, -1, second_index)
            known = known & (found < k) & (spent == 0)


@triton.jit
def _pool_kernel(
    features: tl.tensor,  # (B, M, C)
    indices: tl.tensor,  # (B, N, k) int64
    signs: tl.tensor,  # (C,)
    extreme: tl.tensor,  # (B, N, C)
    argument: tl.tensor,  # (B, N, C) int32
    total: tl.tensor,  # (B, N, C) or None
    n_rows: tl.tensor,  # B * N
    n_points: tl.tensor,
    n_features: tl.tensor,
    k: tl.tensor,
    channels: tl.tensor,
    rows: tl.constexpr,
    columns: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    channel = tl.program_id(1) * columns + tl.arange(0, columns)
    in_rows = row < n_rows
    inside = in_rows[:, None] & (channel < channels)[None, :]
    cloud_offset = row // n_points * n_features
    sign = tl.load(signs + channel, mask=channel < channels, other=1.0)[None, :]

    best_index = tl.load(indices + row * k, mask=in_rows, other=0)[:, None] + tl.zeros(
        (rows, columns), tl.int64
    )
    best = tl.load(
        features + (cloud_offset[:, None] + best_index) * channels + channel[None, :],
        mask=inside,
        other=0.0,
    )
    added = best
    for neighbor in range(1, k):
        index = tl.load(indices + row * k + neighbor, mask=in_rows, other=0)
        value = tl.load(
            features + (cloud_offset + index)[:, None] * channels + channel[None, :],
            mask=inside,
            other=0.0,
        )
        added += value
        first_nan = (value != value) & (best == best)
        better = (value * sign > best * sign) | first_nan
        best = tl.where(better, value, best)
        best_index = tl.where(better, index[:, None], best_index)

    offset = row[:, None] * channels + channel[None, :]
    tl.store(extreme + offset, best, mask=inside)
    tl.store(argument + offset, best_index.to(tl.int32), mask=inside)
    if total is not None:
        tl.store(total + offset, added, mask=inside)


@triton.jit
def _unpool_kernel(
    extreme_gradient: tl.tensor,  # (B, N, C)
    argument: tl.tensor,  # (B, N, C) int32
    sum_gradient: tl.tensor,  # (B, N, C) or None
    indices: tl.tensor,  # (B, N, k) int64
    gradient: tl.tensor,  # (B, M, C), zeros
    n_rows: tl.tensor,  # B * N
    n_points: tl.tensor,
    n_features: tl.tensor,
    k: tl.tensor,
    channels: tl.tensor,
    rows: tl.constexpr,
    columns: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64) * rows + tl.arange(0, rows)
    channel = tl.program_id(1) * columns + tl.arange(0, columns)
    in_rows = row < n_rows
    inside = in_rows[:, None] & (channel < channels)[None, :]
    cloud_offset = row // n_points * n_features
    offset = row[:, None] * channels + channel[None, :]

    index = tl.load(argument + offset, mask=inside, other=0)
    tl.atomic_add(
        gradient + (cloud_offset[:, None] + index) * channels + channel[None, :],
        tl.load(extreme_gradient + offset, mask=inside, other=0.0),
        mask=inside,
        sem="relaxed",
    )
    if sum_gradient is not None:
        value = tl.load(sum_gradient + offset, mask=inside, other=0.0)
        for neighbor in range(k):
            index_of_neighbor = tl.load(indices + row * k + neighbor, mask=in_rows, other=0)
            target = (cloud_offset + index_of_neighbor)[:, None] * channels + channel[None, :]
            tl.atomic_add(gradient + target, value, mask=inside, sem="relaxed")


@triton.jit
def _farthest_kernel(
    points: tl.tensor,  # (B, N, 3)
    start: tl.tensor,  # (B,) int64
    squared_distances: tl.tensor,  # (B, N) to the nearest chosen point, infinite at first
    chosen: tl.tensor,  # (B, count) int64
    n_points: tl.tensor,
    count: tl.tensor,
    columns: tl.constexpr,
) -> None:
    cloud = tl.program_id(0).to(tl.int64)
    points += cloud * n_points * 3
    squared_distances += cloud * n_points
    latest = tl.load(start + cloud).to(tl.int32)
    for i in range(count):
        tl.store(chosen + cloud * count + i, latest.to(tl.int64))
        latest_point = points + latest.to(tl.int64) * 3
        x = tl.load(latest_point)
        y = tl.load(latest_point + 1)
        z = tl.load(latest_point + 2)
        # Below the -1 of the points already chosen, so that every lane starts beaten.
        best = tl.full((columns,), -2.0, points.dtype.element_ty)
        index = tl.full((columns,), n_points, tl.int32)
        for first in range(0, n_points, columns):
            column = first + tl.arange(0, columns)
            inside = column < n_points
            a, b, c = _load_points(points + column.to(tl.int64) * 3, inside, 0.0)
            distance = tl.load(squared_distances + column, mask=inside, other=-2.0)
            candidate = _squared_distance(a, b, c, x, y, z)
            distance = tl.where(candidate < distance, candidate, distance)
            distance = tl.where(column == latest, -1.0, distance)
            tl.store(squared_distances + column, distance, mask=inside)
            farther = distance > best
            best = tl.where(farther, distance, best)
            index = tl.where(farther, column, index)
        latest = tl.min(tl.where(best == tl.max(best), index, n_points))
        # What one thread has stored, another may load in the next round.
        tl.debug_barrier()
