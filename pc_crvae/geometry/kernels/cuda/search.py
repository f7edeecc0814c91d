"""Nearest points: a program holds a tile of queries x columns in registers.

Each of its lanes keeps the best of the points that passed through it, and lanes are compared once
at the end. Heights keep a thread near 120 registers in either dtype. The k nearest compare their
lanes k times, which within one warp needs no barrier.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from pc_crvae.geometry.kernels import reference as plain
from pc_crvae.geometry.kernels.cuda.distances import (
    ROUND_EACH_OPERATION,
    device_of,
    load_points,
    squared_distance,
)

_COLUMNS = 128
_NEAREST_ROW_BYTES = 64
_K_NEAREST_ROW_BYTES = 16
_MOST_NEIGHBORS = 64  # many more would share lanes, and each that does may cost a sweep


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
    with device_of(query):
        _nearest_kernel[(batch * triton.cdiv(n_query, rows),)](
            query,
            reference,
            indices,
            n_query,
            reference.shape[1],
            rows=rows,
            columns=_COLUMNS,
            **ROUND_EACH_OPERATION,
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
    with device_of(points):
        _k_nearest_kernel[(batch * triton.cdiv(count, rows),)](
            points,
            indices,
            count,
            k,
            farthest=torch.finfo(points.dtype).max,
            rows=rows,
            columns=_COLUMNS,
            num_warps=1,
            **ROUND_EACH_OPERATION,
        )
    return indices


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
    x, y, z = load_points(query + row_offset * 3, row < n_query, 0.0)

    best = tl.full((rows, columns), float("inf"), query.dtype.element_ty)
    index = tl.full((rows, columns), n_reference, tl.int32)
    for first in range(0, n_reference, columns):
        column = first + tl.arange(0, columns)
        # Columns past the end are NaN, which never wins.
        a, b, c = load_points(
            reference + (cloud * n_reference + column) * 3, column < n_reference, float("nan")
        )
        distance = squared_distance(
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
    x, y, z = load_points(points + row_offset * 3, row < count, 0.0)

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
            a, b, c = load_points(
                points + (cloud * count + column) * 3, column < count, float("nan")
            )
            distance = squared_distance(
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
