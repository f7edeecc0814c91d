"""Means of neighbours' offsets by octant, the neighbours found on the way and never sorted.

Clouds come sorted along a curve and cut into blocks of consecutive points, as
`pc_crvae.geometry.kernels.cpu.search` makes them. Consecutive points are near each other, so that
the distance within which one has its neighbours is a good guess for the next. What lies within the
guess is collected block by block. The distance to the last neighbour that counts is then found by
counting those below a threshold, which costs a vector instruction for every sixteen of them, where
a sort or a selection branches at each.
"""

import numpy as np

from pc_crvae.geometry.kernels.cpu.parallel import compiled, inlined

_BLOCK = 16
"""Points of a block, see `pc_crvae.geometry.kernels.cpu.search`."""

_REGION = 64
"""Blocks of a region, see there."""

_GUESSES = 6
"""Thresholds guessed by interpolation before halving: counts grow about evenly with the square."""

_WIDER = 1.25
"""How much larger a guess is than the squared distance that sufficed for the point before."""


@compiled
def octant_means(clouds, counts, signs, means, start, stop):  # type: ignore[no-untyped-def]
    """Fill ``means`` (B, V, N, S, 8, 3) for a range of the B * P / BLOCK blocks.

    ``clouds`` are :class:`search.SortedBlocks`. Scale s takes the ``counts[s]`` nearest other
    points; ``counts`` rises and its last is below N. View v is mirrored by ``signs[v]`` (V, 3).
    """
    order, coordinates, boxes, regions = clouds
    per_cloud, blocks, most = order.shape[1], boxes.shape[2], counts[-1]
    real = coordinates.dtype.type
    # One block more than there are points, as whole blocks are copied.
    squared = np.empty(per_cloud + _BLOCK, coordinates.dtype)
    offsets = np.empty((3, per_cloud + _BLOCK), coordinates.dtype)
    chosen = np.empty(per_cloud + 1, np.int64)
    places, scratch = np.empty(_REGION + 1, np.int64), np.empty(_BLOCK, coordinates.dtype)
    sums, members = np.empty((8, 3), coordinates.dtype), np.empty(8, np.int64)
    for item in range(start, stop):
        b, block = item // blocks, item % blocks
        first, last = block * _BLOCK, min(per_cloud, (block + 1) * _BLOCK)
        bound = real(-1)
        for i in range(first, last):
            point = coordinates[b, 0, i], coordinates[b, 1, i], coordinates[b, 2, i]
            if not np.isfinite(point[0] + point[1] + point[2]):
                means[b, :, order[b, i]] = np.nan
                continue
            if bound < 0:
                # The points next to it along the curve bound how far its neighbours can be.
                low = max(0, min(first - most // 2, per_cloud - most - _BLOCK))
                high = min(per_cloud, low + most + _BLOCK)
                _measure(coordinates[b], low, high, point, squared)
                bound, _ = _threshold(squared[: high - low], most + 1)
            # One more, as the point itself is among its candidates.
            near = _collect(
                coordinates[b], boxes[b], regions[b], point, most + 1, real(bound * real(_WIDER)),
                places, scratch, squared, offsets,
            )  # fmt: skip
            for scale in range(len(counts)):
                bound = _average(
                    offsets[:, :near], squared[:near], counts[scale] + 1, signs,
                    means[b, :, order[b, i], scale], chosen, sums, members,
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
def _collect(coordinates, boxes, regions, point, wanted, bound, places, scratch, squared, offsets):  # type: ignore[no-untyped-def]
    """Collect the points whose squared distance does not exceed ``bound``, which grows at need.

    Fills ``squared`` with the distances and ``offsets`` (3, n) with where they lie from ``point``.

    Returns:
        How many they are: ``wanted`` or more, or all that are at a finite distance.
    """
    real = squared.dtype.type
    largest = real(np.finfo(squared.dtype).max)
    zero = real(0)
    x, y, z = point
    xs, ys, zs = coordinates[0], coordinates[1], coordinates[2]
    attempts = 0
    while True:
        near = 0
        for region in range(regions.shape[1]):
            dx = max(regions[0, region] - x, x - regions[3, region], zero)
            dy = max(regions[1, region] - y, y - regions[4, region], zero)
            dz = max(regions[2, region] - z, z - regions[5, region], zero)
            if not dx * dx + dy * dy + dz * dz <= bound:
                continue
            low, high = region * _REGION, min((region + 1) * _REGION, boxes.shape[1])
            found = _blocks_within(boxes, low, high, point, bound, places)
            for rank in range(found):
                # The mask changes nothing; by it the compiler knows that no index counts from
                # the end.
                first = (places[rank] * _BLOCK) & 0x7FFFFFFF
                inside = 0
                for j in range(_BLOCK):
                    dx, dy, dz = xs[first + j] - x, ys[first + j] - y, zs[first + j] - z
                    scratch[j] = dx * dx + dy * dy + dz * dz
                    inside += scratch[j] <= bound
                if inside > 0:
                    for j in range(_BLOCK):  # without a branch, which would often go wrong
                        squared[near] = scratch[j]
                        offsets[0, near] = xs[first + j] - x
                        offsets[1, near] = ys[first + j] - y
                        offsets[2, near] = zs[first + j] - z
                        near += scratch[j] <= bound
        if near >= wanted or bound == largest:
            return near
        attempts += 1
        growth = real(1.5 * wanted / max(near, 1))
        bound = min(real(bound * growth), largest) if bound > 0 and attempts < 6 else largest


@inlined
def _blocks_within(boxes, start, stop, point, bound, places):  # type: ignore[no-untyped-def]
    """List in ``places`` which of ``boxes`` (6, n) of a range may hold a point within ``bound``."""
    x, y, z = point
    # Rows cut one by one are known to be contiguous, and vector instructions read them.
    x_lower, x_upper = boxes[0, start:stop], boxes[3, start:stop]
    y_lower, y_upper = boxes[1, start:stop], boxes[4, start:stop]
    z_lower, z_upper = boxes[2, start:stop], boxes[5, start:stop]
    zero = boxes.dtype.type(0)
    found = 0
    for block in range(stop - start):
        dx = max(x_lower[block] - x, x - x_upper[block], zero)
        dy = max(y_lower[block] - y, y - y_upper[block], zero)
        dz = max(z_lower[block] - z, z - z_upper[block], zero)
        places[found] = start + block
        found += dx * dx + dy * dy + dz * dz <= bound
    return found


@inlined
def _average(offsets, squared, wanted, signs, means, chosen, sums, members):  # type: ignore[no-untyped-def]
    """Fill ``means`` (V, 8, 3), by view, with those of the ``wanted`` nearest of ``offsets``.

    Returns:
        The squared distance within which they lie.
    """
    bound, count = _threshold(squared, wanted)
    surplus = max(count - wanted, 0)  # ties at the threshold, of which so many are left out
    kept = 0
    for rank in range(len(squared)):
        tie = (surplus > 0) & (squared[rank] == bound)
        surplus -= tie
        chosen[kept] = rank
        kept += (squared[rank] <= bound) & (not tie)
    for view in range(len(signs)):
        sums[:] = 0
        members[:] = 0
        for place in range(kept):
            rank = chosen[place]
            x = signs[view, 0] * offsets[0, rank]
            y = signs[view, 1] * offsets[1, rank]
            z = signs[view, 2] * offsets[2, rank]
            octant = 4 * (x >= 0) + 2 * (y >= 0) + (z >= 0)
            sums[octant, 0] += x
            sums[octant, 1] += y
            sums[octant, 2] += z
            # Not itself, and no duplicates, which have no direction.
            members[octant] += (x != 0) | (y != 0) | (z != 0)
        for octant in range(8):
            for axis in range(3):
                means[view, octant, axis] = sums[octant, axis] / max(members[octant], 1)
    return bound
