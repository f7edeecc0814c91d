"""Farthest points, one program a cloud."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from pc_crvae.geometry.kernels.cuda.distances import (
    ROUND_EACH_OPERATION,
    device_of,
    load_points,
    squared_distance,
)

_FARTHEST_COLUMNS = 2048


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
    with device_of(points):
        _farthest_kernel[(batch,)](
            points,
            start,
            squared_distances,
            chosen,
            n_points,
            count,
            columns=min(_FARTHEST_COLUMNS, triton.next_power_of_2(n_points)),
            num_warps=8,
            **ROUND_EACH_OPERATION,
        )
    return chosen


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
            a, b, c = load_points(points + column.to(tl.int64) * 3, inside, 0.0)
            distance = tl.load(squared_distances + column, mask=inside, other=-2.0)
            candidate = squared_distance(a, b, c, x, y, z)
            distance = tl.where(candidate < distance, candidate, distance)
            distance = tl.where(column == latest, -1.0, distance)
            tl.store(squared_distances + column, distance, mask=inside)
            farther = distance > best
            best = tl.where(farther, distance, best)
            index = tl.where(farther, column, index)
        latest = tl.min(tl.where(best == tl.max(best), index, n_points))
        # What one thread has stored, another may load in the next round.
        tl.debug_barrier()
