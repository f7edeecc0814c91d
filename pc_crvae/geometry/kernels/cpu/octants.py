"""Means of neighbours' offsets by octant, the neighbours found on the way and never sorted.

Clouds come sorted along a curve and cut into blocks of consecutive points, as
`pc_crvae.geometry.kernels.cpu.search` makes them. The points of a block share their candidates; the
distance to the last neighbour that counts is found by counting candidates below a threshold, which
costs a vector instruction for every sixteen of them, where a sort or a selection branches at each.
"""

import numpy as np

from pc_crvae.geometry.kernels.cpu.parallel import compiled, inlined

_BLOCK = 16
"""Points of a block, see `pc_crvae.geometry.kernels.cpu.search`."""

_GUESSES = 6
"""Thresholds guessed by interpolation before halving: counts grow about evenly with the square."""


@compiled
def octant_means(order, coordinates, boxes, counts, signs, means, start, stop):  # type: ignore[no-untyped-def]
    """Fill ``means`` (B, V, N, S, 8, 3) for a range of the B * P / BLOCK blocks.

    ``order`` (B, N), ``coordinates`` (B, 3, P) and ``boxes`` (B, 6, P / BLOCK) come from
    :func:`search.sort_along_curve`. Scale s takes the ``counts[s]`` nearest other points;
    ``counts`` rises and its last is below N. View v is mirrored by ``signs[v]`` (V, 3).
    """
    per_cloud, blocks, most = order.shape[1], boxes.shape[2], counts[-1]
    squared = np.empty(per_cloud, coordinates.dtype)
    candidates = np.empty((3, per_cloud), coordinates.dtype)
    chosen = np.empty(per_cloud, np.int64)
    for item in range(start, stop):
        b, block = item // blocks, item % blocks
        first, last = block * _BLOCK, min(per_cloud, (block + 1) * _BLOCK)
        # The points next to a block along the curve bound how far its neighbours can be.
        low = max(0, min(first - most // 2, per_cloud - most - _BLOCK))
        high = min(per_cloud, low + most + _BLOCK)
        reach = squared.dtype.type(0)
        for i in range(first, last):
            _measure(coordinates[b], low, high, coordinates[b, :, i], squared)
            bound, _ = _threshold(squared[: high - low], most + 1)
            reach = max(reach, bound)
        found = _gather(coordinates[b], boxes[b], block, reach, per_cloud, candidates)
        for i in range(first, last):
            point = coordinates[b, :, i]
            if not np.isfinite(point[0] + point[1] + point[2]):
                means[b, :, order[b, i]] = np.nan
                continue
            _measure(candidates, 0, found, point, squared)
            # One more, as the point itself is among its candidates.
            bound, _ = _threshold(squared[:found], most + 1)
            near = 0
            for j in range(found):
                if squared[j] <= bound:
                    chosen[near] = j
                    squared[near] = squared[j]
                    near += 1
            for scale in range(len(counts)):
                _average(
                    candidates, point, chosen[:near], squared[:near], counts[scale] + 1,
                    signs, means[b, :, order[b, i], scale],
                )  # fmt: skip


@inlined
def _measure(coordinates, low, high, point, squared):  # type: ignore[no-untyped-def]
    """Squared distances from ``point`` to the points from ``low`` to ``high``."""
    xs, ys, zs = coordinates[0, low:high], coordinates[1, low:high], coordinates[2, low:high]
    x, y, z = point[0], point[1], point[2]
    for j in range(len(xs)):
        dx, dy, dz = xs[j] - x, ys[j] - y, zs[j] - z
        squared[j] = dx * dx + dy * dy + dz * dz


@compiled
def _threshold(squared, wanted):  # type: ignore[no-untyped-def]
    """A value that exactly ``wanted`` of ``squared`` do not exceed, or their ``wanted``-th least.

    Infinite values and NaN count as absent. Returns the value, and how many do not exceed it: more
    than ``wanted`` where ties allow no less.
    """
    real = squared.dtype.type  # plain numbers would make float64 of float32
    low = high = real(0)
    below = above = 0
    for j in range(len(squared)):
        if squared[j] < np.inf:  # which NaN is not either
            high = max(high, squared[j])
            below += squared[j] <= low
            above += 1
    if below >= wanted:
        return low, below
    if above <= wanted:
        return high, above
    guesses = _GUESSES
    while True:
        share = real(0.5)
        if guesses > 0:
            share = real((wanted - below + 0.5) / (above - below + 1))
            guesses -= 1
        middle = real(low + (high - low) * share)
        if middle <= low or middle >= high:
            guesses = 0
            middle = real(low + (high - low) * real(0.5))
            if middle <= low or middle >= high:
                return high, above
        count = 0
        for j in range(len(squared)):
            count += squared[j] <= middle
        if count == wanted:
            return middle, count
        if count < wanted:
            low, below = middle, count
        else:
            high, above = middle, count


@inlined
def _gather(coordinates, boxes, home, reach, per_cloud, candidates):  # type: ignore[no-untyped-def]
    """Copy the blocks whose boxes lie within ``reach`` of that of ``home``; returns the points."""
    zero = candidates.dtype.type(0)
    found = 0
    for block in range(boxes.shape[1]):
        distance = zero
        for axis in range(3):
            gap = max(
                boxes[axis, block] - boxes[axis + 3, home],
                boxes[axis, home] - boxes[axis + 3, block],
                zero,
            )
            distance += gap * gap
        if distance <= reach:
            for j in range(block * _BLOCK, min(per_cloud, (block + 1) * _BLOCK)):
                for axis in range(3):
                    candidates[axis, found] = coordinates[axis, j]
                found += 1
    return found


@inlined
def _average(coordinates, point, chosen, squared, wanted, signs, means):  # type: ignore[no-untyped-def]
    """Fill ``means`` (V, 8, 3), by view, with those of the ``wanted`` nearest of ``chosen``."""
    bound, count = _threshold(squared, wanted)
    surplus = max(count - wanted, 0)  # ties at the threshold, of which so many are left out
    members = np.zeros((len(signs), 8), np.int64)
    means[:] = 0
    for rank in range(len(chosen)):
        if squared[rank] > bound:
            continue
        if surplus > 0 and squared[rank] == bound:
            surplus -= 1
            continue
        j = chosen[rank]
        dx, dy = coordinates[0, j] - point[0], coordinates[1, j] - point[1]
        dz = coordinates[2, j] - point[2]
        if dx == 0 and dy == 0 and dz == 0:  # itself, and duplicates, which have no direction
            continue
        for view in range(len(signs)):
            x, y, z = signs[view, 0] * dx, signs[view, 1] * dy, signs[view, 2] * dz
            octant = 4 * (x >= 0) + 2 * (y >= 0) + (z >= 0)
            means[view, octant, 0] += x
            means[view, octant, 1] += y
            means[view, octant, 2] += z
            members[view, octant] += 1
    for view in range(len(signs)):
        for octant in range(8):
            for axis in range(3):
                means[view, octant, axis] /= max(members[view, octant], 1)
