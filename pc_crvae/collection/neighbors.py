"""The nearest shapes of every shape, by exact search in blocks: no n x n matrix is held."""

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 512
_SPARE = 8
"""More than are wanted, taken by single precision, of which double precision picks."""


def nearest_others(
    units: NDArray[np.floating], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the nearest others of every row by cosine distance.

    Args:
        units: (n, d) of length 1.
        count: the number wanted of each; no more are given than there are others.

    Returns:
        Rows (n, min(count, n - 1)), the nearest first, and their distances, 1 - cosine, in [0, 2].
        A row is never among its own.
    """
    units = np.ascontiguousarray(units, dtype=np.float32)
    n = len(units)
    count = max(0, min(count, n - 1))
    rows = np.empty((n, count), dtype=np.int64)
    distances = np.empty((n, count))
    if count == 0:
        return rows, distances
    taken = min(count + _SPARE, n - 1)
    for start in range(0, n, _ROWS_AT_ONCE):
        part = np.arange(start, min(start + _ROWS_AT_ONCE, n))
        rough = 1 - units[part] @ units.T
        rough[np.arange(len(part)), part] = np.inf
        near = np.argpartition(rough, taken - 1, axis=1)[:, :taken]
        near.sort(axis=1)  # so that of equals the first row comes first
        for place, row in enumerate(part):
            apart = units[near[place]].astype(np.float64) - units[row]
            # Half the squared distance of unit vectors is 1 - cosine, without its cancellation.
            exact = np.square(apart).sum(axis=1) / 2
            order = np.argsort(exact, kind="stable")[:count]
            rows[row], distances[row] = near[place][order], exact[order]
    return rows, distances
