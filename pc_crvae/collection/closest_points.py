"""The point of a small cloud that is closest to each of some points, by looking at all of them."""

import numpy as np
from numpy.typing import NDArray

from pc_crvae.utils.compiling import compiled

_LANES = 16
"""Points that are looked up side by side, so that the processor compares several at once."""


def closest_points(
    points: NDArray[np.float64], among: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the closest of a cloud to each of some points.

    Up to some thousand points this is quicker than a tree, which has to be built.

    Args:
        points: (n, 3).
        among: (m, 3), m above 0.

    Returns:
        Distances (n,) and rows of ``among`` (n,), of equals the first.
    """
    squares = np.empty(len(points))
    rows = np.empty(len(points), dtype=np.int64)
    _closest(np.ascontiguousarray(points), np.ascontiguousarray(among), squares, rows)
    return np.sqrt(squares), rows


@compiled
def _closest(
    points: NDArray[np.float64],
    among: NDArray[np.float64],
    squares: NDArray[np.float64],
    rows: NDArray[np.int64],
) -> None:
    """Fill squared distances and rows."""
    x, y, z, best = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    found = np.empty(_LANES, np.int64)
    for start in range(0, len(points), _LANES):
        for k in range(_LANES):
            n = min(start + k, len(points) - 1)
            x[k], y[k], z[k] = points[n, 0], points[n, 1], points[n, 2]
            best[k] = np.inf
            found[k] = 0
        for row in range(len(among)):
            ax, ay, az = among[row, 0], among[row, 1], among[row, 2]
            for k in range(_LANES):
                dx, dy, dz = x[k] - ax, y[k] - ay, z[k] - az
                square = dx * dx + dy * dy + dz * dz
                is_closer = square < best[k]
                found[k] = row if is_closer else found[k]
                best[k] = square if is_closer else best[k]
        for k in range(min(_LANES, len(points) - start)):
            squares[start + k] = best[k]
            rows[start + k] = found[k]
