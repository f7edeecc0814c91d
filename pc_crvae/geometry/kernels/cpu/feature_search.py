"""Neighbours in feature space: candidates from a matrix product, the choice from differences.

The expansion |x|^2 - 2 x.y + |y|^2 is fast and cancels, so it only rules points out: with its
rounding bounded, every point that could be among the k nearest stays a candidate, and the
candidates are ordered by the distances themselves. Rows with more candidates than the list holds,
as among many duplicates, are searched by distances alone.
"""

import numba
import numpy as np

from pc_crvae.geometry.kernels.cpu.parallel import compiled

_WIDTH = 32
"""Columns that are tested together."""

SPARE = 12
"""Candidates kept beyond k."""


@compiled
def rank_candidates(  # type: ignore[no-untyped-def]
    points, squares, products, slack, first, neighbors, start, stop
):
    """Fill ``neighbors`` (N, k) of one cloud for a range of the rows of ``products``.

    Args:
        points: (N, D), centred.
        squares: (N,), their squared norms.
        products: (R, N) inner products of the points from row ``first`` on with all points.
        slack: bounds the relative rounding error: of |x|^2 - 2 x.y + |y|^2, computed, at most
            slack (|x|^2 + |y|^2).
        first: the point of the first row.
        neighbors: (N, k), nearest first, the point itself in front, the lower index of equals.
        start: first row.
        stop: last row, excluded.
    """
    count, k = points.shape[0], neighbors.shape[1]
    kept = min(k + SPARE, count)
    lowers = np.empty(kept, points.dtype)
    places = np.empty(kept, np.int64)
    distances = np.empty(kept, points.dtype)
    padded = (count + _WIDTH - 1) // _WIDTH * _WIDTH
    row = np.full(padded, np.inf, points.dtype)
    relief = np.empty(count, points.dtype)  # |y|^2 less what rounding may have added to it
    for j in range(count):
        relief[j] = squares[j] - slack * squares[j]
    for r in range(start, stop):
        i = first + r
        for j in range(count):
            row[j] = relief[j] - 2 * products[r, j]
        row[i] = -np.inf
        lowers[:] = np.inf
        places[:] = -1
        for block in range(0, padded, _WIDTH):
            near = 0
            for j in range(block, block + _WIDTH):
                near += row[j] < lowers[kept - 1]
            if near > 0:
                for j in range(block, block + _WIDTH):
                    if row[j] < lowers[kept - 1]:
                        rank = kept - 1
                        while rank > 0 and lowers[rank - 1] > row[j]:
                            lowers[rank] = lowers[rank - 1]
                            places[rank] = places[rank - 1]
                            rank -= 1
                        lowers[rank] = row[j]
                        places[rank] = j
        # k points are surely no farther than this; whoever may be nearer must be in the list.
        ceiling = -np.inf
        for rank in range(1, k):
            j = places[rank]
            if j < 0:
                ceiling = np.inf
            else:
                upper = lowers[rank] + 2 * slack * (squares[i] + squares[j])
                ceiling = max(ceiling, upper)
        complete = kept == count or lowers[kept - 1] > ceiling
        if places[kept - 1] >= 0 and complete:
            for rank in range(kept):
                distances[rank] = _squared_distance(points[i], points[places[rank]])
            for rank in range(kept):
                if places[rank] == i:
                    distances[rank] = -1
            _sort(distances, places)
            for rank in range(k):
                neighbors[i, rank] = places[rank]
        else:
            _search_row(points, i, neighbors)


@numba.njit(nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _squared_distance(a, b):  # type: ignore[no-untyped-def]
    total = a[0] * 0
    for d in range(len(a)):
        total += (a[d] - b[d]) * (a[d] - b[d])
    return total


@compiled
def _sort(distances, places):  # type: ignore[no-untyped-def]
    """Sort by distance, equal ones by place."""
    for i in range(1, len(places)):
        distance, place = distances[i], places[i]
        rank = i
        while rank > 0 and (
            distances[rank - 1] > distance
            or (distances[rank - 1] == distance and places[rank - 1] > place)
        ):
            distances[rank], places[rank] = distances[rank - 1], places[rank - 1]
            rank -= 1
        distances[rank], places[rank] = distance, place


@compiled
def _search_row(points, i, neighbors):  # type: ignore[no-untyped-def]
    """The neighbours of point ``i`` by its distances to all, NaN counting as infinite."""
    distances = np.empty(points.shape[0], points.dtype)
    for j in range(points.shape[0]):
        distance = _squared_distance(points[i], points[j])
        distances[j] = distance if distance == distance else np.inf
    distances[i] = -1
    order = np.argsort(distances, kind="mergesort")  # stable: the lower index first
    for rank in range(neighbors.shape[1]):
        neighbors[i, rank] = order[rank]
