"""Farthest point sampling."""

import numpy as np

from pc_crvae.geometry.kernels.cpu.parallel import compiled

_LANES = 32


@compiled
def farthest_points(points, first, chosen, start, stop):  # type: ignore[no-untyped-def]
    """Fill ``chosen`` (B, count) for a range of the clouds ``points`` (B, N, 3).

    ``first`` (B,) names the first choices; the lowest index wins among equals.
    """
    n_points, count = points.shape[1], chosen.shape[1]
    padded = (n_points + _LANES - 1) // _LANES * _LANES
    x, y = np.zeros(padded, points.dtype), np.zeros(padded, points.dtype)
    z = np.zeros(padded, points.dtype)
    squared = np.empty(padded, points.dtype)
    farthest = np.empty(_LANES, points.dtype)
    group = np.empty(_LANES, np.int32)
    for b in range(start, stop):
        for i in range(n_points):
            x[i], y[i], z[i] = points[b, i, 0], points[b, i, 1], points[b, i, 2]
        squared[:n_points] = np.inf
        squared[n_points:] = -2  # below every choice already made
        latest = first[b]
        for step in range(count):
            chosen[b, step] = latest
            x0, y0, z0 = x[latest], y[latest], z[latest]
            squared[latest] = -1  # never again: no distance is below it
            farthest[:] = -2
            group[:] = 0
            for g in range(padded // _LANES):
                for lane in range(_LANES):
                    i = g * _LANES + lane
                    dx, dy, dz = x[i] - x0, y[i] - y0, z[i] - z0
                    distance = dx * dx + dy * dy + dz * dz
                    kept = distance if distance < squared[i] else squared[i]  # NaN changes nothing
                    squared[i] = kept
                    better = kept > farthest[lane]
                    farthest[lane] = kept if better else farthest[lane]
                    group[lane] = g if better else group[lane]
            best = 0
            for lane in range(1, _LANES):
                ahead = farthest[lane] > farthest[best]
                level = farthest[lane] == farthest[best]
                if ahead or (level and group[lane] < group[best]):
                    best = lane
            latest = group[best] * _LANES + best
