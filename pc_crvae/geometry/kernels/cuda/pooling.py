"""Extremes and sums over neighbours, and their gradient."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from pc_crvae.geometry.kernels import reference as plain
from pc_crvae.geometry.kernels.cuda.distances import device_of

_POOL_ROWS = 16
_POOL_COLUMNS = 64


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
    with device_of(features):
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
    with device_of(gradient):
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


def _pool_grid(n_rows: int, channels: int) -> tuple[tuple[int, int], int, int]:
    """Return the grid, and the rows and channels a program serves; narrow features get more rows.

    Rows lie on the grid's first axis, the only one that may exceed 65,535.
    """
    columns = min(_POOL_COLUMNS, triton.next_power_of_2(max(1, channels)))
    rows = _POOL_ROWS * _POOL_COLUMNS // columns
    return (triton.cdiv(n_rows, rows), triton.cdiv(channels, columns)), rows, columns


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
