"""Neighbours in feature space: candidates from a matrix product, the choice from differences.

The expansion |x|^2 - 2 x.y + |y|^2 is fast and cancels, so it only rules points out: with its
rounding bounded, every point that could be among the k nearest stays a candidate, and the
candidates are ordered by the distances themselves. Rows with more candidates than the list holds,
as among many duplicates, are searched by distances alone.
"""

import numba
import numpy as np

from pc_crvae.geometry.kernels.cpu.parallel import compiled, inlined

_LANES = 64
"""Columns apart by as many share a lane, whose least entry bounds the nearest ones."""

_BLOCK = 16
"""Columns that are tested together."""

_BISECTIONS = 8
"""Halvings of the range in which that bound is sought."""

SPARE = 4
"""Candidates kept beyond k."""


@compiled
def rank_candidates(  # type: ignore[no-untyped-def]
    points, squares, products, slack, first, neighbors, start, stop
):
    """Fill ``neighbors`` (N, k) of one cloud for a range of the rows of ``products``.

    Args:
        points: (N, D).
        squares: (N,), squared norms of the points less their mean.
        products: (R, N) inner products of the points less their mean, from row ``first`` on
            with all.
        slack: bounds the relative rounding error: of |x|^2 - 2 x.y + |y|^2, computed, at most
            slack (|x|^2 + |y|^2).
        first: the point of the first row.
        neighbors: (N, k), nearest first, the point itself in front, the lower index of equals.
        start: first row.
        stop: last row, excluded.
    """
    count, k = points.shape[0], neighbors.shape[1]
    kept = min(k + SPARE, count) - 1  # beside the point itself
    lowers = np.empty(max(kept, 1), points.dtype)
    places = np.empty(kept, np.int64)
    padded = (count + _LANES - 1) // _LANES * _LANES
    row = np.full(padded, np.inf, points.dtype)
    least = np.empty(_LANES, points.dtype)
    candidates = np.empty(padded + 1, np.int32)
    relief = np.empty(count, points.dtype)  # |y|^2 less what rounding may have added to it
    for j in range(count):
        relief[j] = squares[j] - slack * squares[j]
    for r in range(start, stop):
        i = first + r
        for j in range(count):
            row[j] = relief[j] - 2 * products[r, j]
        row[i] = np.inf
        limit = _limit(row, kept, least)
        found = 0
        for block in range(0, padded, _BLOCK):
            near = 0
            for j in range(block, block + _BLOCK):
                near += row[j] <= limit
            if near > 0:
                for j in range(block, block + _BLOCK):
                    candidates[found] = j
                    found += row[j] <= limit
        lowers[:] = np.inf
        for candidate in range(found):
            j = candidates[candidate]
            if row[j] < lowers[kept - 1]:
                _insert(row[j], j, lowers, places)
        # k points are surely no farther than this; whoever may be nearer must be in the list.
        ceiling = -np.inf
        for rank in range(k - 1):
            if lowers[rank] < np.inf:
                reach = squares[i] + squares[places[rank]]
                ceiling = max(ceiling, lowers[rank] + 2 * slack * reach)
            else:
                ceiling = np.inf
        # A list that NaN or infinite products left short may lack the nearest.
        filled = lowers[kept - 1] < np.inf
        if filled and (kept == count - 1 or lowers[kept - 1] > ceiling):
            neighbors[i, 0] = i
            _order(points, i, lowers, places)
            for rank in range(k - 1):
                neighbors[i, rank + 1] = places[rank]
        else:
            _search_row(points, i, neighbors)


@inlined
def _limit(row, kept, least):  # type: ignore[no-untyped-def]
    """A value that at least ``kept`` entries of ``row`` do not exceed, and few others.

    Of the least entry of each lane, each another one, it is near the ``kept`` smallest.
    """
    least[:] = np.inf
    for block in range(0, len(row), _LANES):
        for lane in range(_LANES):
            value = row[block + lane]
            least[lane] = value if value < least[lane] else least[lane]
    low, high = least.min(), least.max()
    if kept > _LANES or not high < np.inf:
        high = row.dtype.type(np.inf)
    else:
        for _ in range(_BISECTIONS):
            middle = (low + high) * row.dtype.type(0.5)
            below = 0
            for lane in range(_LANES):
                below += least[lane] <= middle
            if below >= kept:
                high = middle
            else:
                low = middle
    return high


@inlined
def _insert(value, place, values, places):  # type: ignore[no-untyped-def]
    """Insert into the ascending ``values``, behind equals, and drop the last."""
    rank = len(values) - 1
    while rank > 0 and values[rank - 1] > value:
        values[rank] = values[rank - 1]
        places[rank] = places[rank - 1]
        rank -= 1
    values[rank] = value
    places[rank] = place


@numba.njit(nogil=True, error_model="numpy", fastmath={"reassoc", "nsz", "contract"})
def _squared_distance(a, b):  # type: ignore[no-untyped-def]
    total = a.dtype.type(0)  # a plain 0 would make the sum float64, beside float32 ones
    for d in range(len(a)):
        total += (a[d] - b[d]) * (a[d] - b[d])
    return total


@compiled
def _order(points, i, distances, places):  # type: ignore[no-untyped-def]
    """Sort ``places`` by their distance to point ``i``, equal ones by place."""
    for rank in range(len(places)):
        place = places[rank]
        distance = _squared_distance(points[i], points[place])
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
