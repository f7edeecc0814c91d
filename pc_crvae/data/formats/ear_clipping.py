"""Simple polygons in the plane, cut into triangles by clipping ears (Meisters, 1975).

A corner is an ear if it is convex and no other corner lies in the triangle with its neighbours.
Clipping one changes at most whether its two neighbours are ears, so that a polygon of n corners
takes O(n^2).
"""

import numpy as np

from pc_crvae.utils.compiling import compiled


@compiled
def _twice_area(points, a, b, c):  # type: ignore[no-untyped-def]
    return (points[b, 0] - points[a, 0]) * (points[c, 1] - points[a, 1]) - (
        points[b, 1] - points[a, 1]
    ) * (points[c, 0] - points[a, 0])


@compiled
def _same(points, a, b):  # type: ignore[no-untyped-def]
    return points[a, 0] == points[b, 0] and points[a, 1] == points[b, 1]


@compiled
def _is_ear(points, before, after, tip, flat):  # type: ignore[no-untyped-def]
    a, c = before[tip], after[tip]
    if _twice_area(points, a, tip, c) <= flat:
        return False
    low = np.minimum(np.minimum(points[a], points[tip]), points[c])
    high = np.maximum(np.maximum(points[a], points[tip]), points[c])
    other = after[c]
    while other != a:
        if (
            low[0] <= points[other, 0] <= high[0]
            and low[1] <= points[other, 1] <= high[1]
            and not _same(points, other, a)
            and not _same(points, other, tip)
            and not _same(points, other, c)
            and _twice_area(points, a, tip, other) >= 0
            and _twice_area(points, tip, c, other) >= 0
            and _twice_area(points, c, a, other) >= 0
        ):
            return False
        other = after[other]
    return True


@compiled
def clip_ears(points, flat):  # type: ignore[no-untyped-def]
    """Cut a polygon into triangles.

    Corners that lie in line with their neighbours, or on them, give triangles without area. Of a
    polygon that crosses itself, triangles that overlap are given.

    Args:
        points: (K, 2) float64, K >= 3, counter-clockwise.
        flat: twice the area of a triangle that counts as none.

    Returns:
        (K - 2, 3) int64, indices into ``points``.
    """
    count = len(points)
    before = np.arange(-1, count - 1)
    before[0] = count - 1
    after = np.arange(1, count + 1)
    after[count - 1] = 0
    known = np.zeros(count, np.int8)  # 1: an ear, 2: none, 0: to be found out
    triangles = np.empty((count - 2, 3), np.int64)
    tip, found, failed = 0, 0, 0
    while found < count - 2:
        a, c = before[tip], after[tip]
        is_flat = abs(_twice_area(points, a, tip, c)) <= flat
        if not is_flat and known[tip] == 0:
            known[tip] = 1 if _is_ear(points, before, after, tip, flat) else 2
        if not is_flat and known[tip] == 2 and failed <= count - found:
            failed += 1
            tip = c
            continue
        triangles[found] = (a, tip, c)
        found += 1
        failed = 0
        after[a], before[c] = c, a
        known[a] = known[c] = 0
        tip = after[c]
    return triangles
