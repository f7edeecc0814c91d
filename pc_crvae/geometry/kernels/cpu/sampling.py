"""Farthest point sampling: of small clouds point by point, of large ones bucket by bucket.

A k-d partition (Bentley 1975) cuts a cloud into buckets of neighbouring points, each of which keeps
its own farthest point. A new choice then touches only the buckets that lie nearer to it than their
own farthest point lies to the choices so far (Han et al. 2023, "QuickFPS: Architecture and
Algorithm Co-Design for Farthest Point Sampling in Large-Scale Point Clouds"). The choices are those
of the plain loop to the last: the bound on a bucket is computed by the very operations of a
distance, each of them monotonic in floating point, so that no rounding makes it exceed the distance
that it bounds.
"""

import numpy as np

from pc_crvae.geometry.kernels.cpu.parallel import compiled, inlined

_LANES = 32
"""Points that are compared side by side."""

_SAMPLE = 16
"""Points looked at for each bucket of the partition."""


@compiled
def farthest_points(points, first, chosen, start, stop):  # type: ignore[no-untyped-def]
    """Fill ``chosen`` (B, count) for a range of the clouds ``points`` (B, N, 3).

    ``first`` (B,) names the first choices; the lowest index wins among equals.
    """
    n_points = points.shape[1]
    padded = (n_points + _LANES - 1) // _LANES * _LANES
    coordinates = np.zeros((3, padded), points.dtype)
    squared = np.empty(padded, points.dtype)
    lanes = np.empty(_LANES, points.dtype)
    groups = np.empty(_LANES, np.int32)
    for b in range(start, stop):
        for i in range(n_points):
            for axis in range(3):
                coordinates[axis, i] = points[b, i, axis]
        squared[:n_points] = np.inf
        squared[n_points:] = -2  # below every choice already made
        latest = first[b]
        for step in range(chosen.shape[1]):
            chosen[b, step] = latest
            squared[latest] = -1  # never again: no distance is below it
            choice = points[b, latest, 0], points[b, latest, 1], points[b, latest, 2]
            _, latest = _visit(coordinates, 0, padded, squared, choice, lanes, groups)


@compiled
def farthest_points_by_buckets(points, depth, first, chosen, start, stop):  # type: ignore[no-untyped-def]
    """As `farthest_points`, by a partition of 2 ** ``depth`` leaves."""
    for b in range(start, stop):
        leaves = _leaves(points[b], depth)
        order, starts = _buckets(leaves, 1 << depth)
        _choose(points[b], first[b], order, starts, chosen[b])


@compiled
def _leaves(points, depth):  # type: ignore[no-untyped-def]
    """The leaf (N,) of a k-d tree that each of ``points`` (N, 3) falls in.

    Each node halves what a sample of the points has in it, at the median along its longest side.
    """
    inner = (1 << depth) - 1
    axes, levels = np.zeros(inner, np.int64), np.zeros(inner, points.dtype)
    size = min(len(points), _SAMPLE << depth)
    sample = np.empty((size, 3), points.dtype)
    for rank in range(size):
        sample[rank] = points[rank * len(points) // size]
    members = np.arange(size)
    ends = np.array([0, size])
    for level in range(depth):
        below = np.empty(2 * len(ends) - 1, np.int64)
        below[0] = 0
        for part in range(len(ends) - 1):
            inside = members[ends[part] : ends[part + 1]]
            node = (1 << level) - 1 + part
            axes[node], levels[node] = _cut(sample, inside)
            left = _separate(sample[:, axes[node]], levels[node], inside)
            below[2 * part + 1] = ends[part] + left
            below[2 * part + 2] = ends[part + 1]
        ends = below
    leaves = np.empty(len(points), np.int32)
    for i in range(len(points)):
        node = 0
        for _ in range(depth):
            node = 2 * node + 1 + (not points[i, axes[node]] < levels[node])
        leaves[i] = node - inner
    return leaves


@compiled
def _cut(points, members):  # type: ignore[no-untyped-def]
    """The longest side of the members' box, and the median of their coordinates along it."""
    axis, longest = 0, -1.0
    for candidate in range(3):
        low, high = np.inf, -np.inf
        for i in members:
            value = points[i, candidate]
            low = value if value < low else low
            high = value if value > high else high
        if high - low > longest:
            axis, longest = candidate, high - low
    if len(members) == 0:
        return axis, points.dtype.type(0)
    half = len(members) // 2
    return axis, np.partition(points[members, axis], half)[half]


@compiled
def _separate(values, level, members):  # type: ignore[no-untyped-def]
    """Put the members whose value lies below the level in front; returns their number."""
    left = 0
    for place in range(len(members)):
        i = members[place]
        if values[i] < level:
            members[place] = members[left]
            members[left] = i
            left += 1
    return left


@compiled
def _buckets(leaves, count):  # type: ignore[no-untyped-def]
    """Indices sorted by leaf, rising within each, and where buckets start, the end included.

    A leaf of more points than two buckets should have, as of coincident ones, is cut by number.
    """
    most = 2 * (len(leaves) // count + 1)
    sizes = np.zeros(count, np.int64)
    for leaf in leaves:
        sizes[leaf] += 1
    starts = [0]
    cursor = np.empty(count, np.int64)
    total = 0
    for leaf in range(count):
        cursor[leaf] = total
        for cut in range(total, total + sizes[leaf], most):
            starts.append(min(cut + most, total + sizes[leaf]))
        total += sizes[leaf]
    order = np.empty(len(leaves), np.int32)
    for i in range(len(leaves)):
        order[cursor[leaves[i]]] = i
        cursor[leaves[i]] += 1
    return order, np.array(starts)


@compiled
def _choose(points, latest, order, starts, chosen):  # type: ignore[no-untyped-def]
    """Fill ``chosen`` (count,) from the buckets of `_buckets`, ``latest`` first."""
    buckets = len(starts) - 1
    padded = np.zeros(buckets + 1, np.int64)  # where each bucket starts among whole groups
    for bucket in range(buckets):
        size = starts[bucket + 1] - starts[bucket]
        padded[bucket + 1] = padded[bucket] + (size + _LANES - 1) // _LANES * _LANES
    indices = np.full(padded[buckets], -1, np.int32)
    coordinates = np.zeros((3, padded[buckets]), points.dtype)
    squared = np.full(padded[buckets], points.dtype.type(-2))  # below every choice already made
    place_of = np.empty(len(order), np.int32)
    boxes = np.empty((6, buckets), points.dtype)
    boxes[:3] = np.inf
    boxes[3:] = -np.inf
    for bucket in range(buckets):
        for rank in range(starts[bucket + 1] - starts[bucket]):
            i, place = order[starts[bucket] + rank], padded[bucket] + rank
            indices[place], squared[place], place_of[i] = i, np.inf, place
            for axis in range(3):
                value = points[i, axis]
                coordinates[axis, place] = value
                if value < boxes[axis, bucket]:
                    boxes[axis, bucket] = value
                if value > boxes[axis + 3, bucket]:
                    boxes[axis + 3, bucket] = value
    farthest = np.full(buckets, points.dtype.type(np.inf))
    candidate = order[starts[:-1]]  # the lowest index of each
    bounds = np.empty(buckets, points.dtype)
    lanes = np.empty(_LANES, points.dtype)
    groups = np.empty(_LANES, np.int32)
    home = np.searchsorted(padded, place_of[latest], "right") - 1
    for step in range(len(chosen)):
        chosen[step] = latest
        squared[place_of[latest]] = -1  # never again: no distance is below it
        x0, y0, z0 = points[latest, 0], points[latest, 1], points[latest, 2]
        _bound(boxes, x0, y0, z0, bounds)
        best = 0
        for bucket in range(buckets):
            if bounds[bucket] < farthest[bucket] or bucket == home:
                low, high = padded[bucket], padded[bucket + 1]
                farthest[bucket], place = _visit(
                    coordinates, low, high, squared[low:high], (x0, y0, z0), lanes, groups
                )
                candidate[bucket] = indices[low + place]
            ahead = farthest[bucket] > farthest[best]
            level = farthest[bucket] == farthest[best]
            if ahead or (level and candidate[bucket] < candidate[best]):
                best = bucket
        home, latest = best, candidate[best]


@inlined
def _bound(boxes, x, y, z, bounds):  # type: ignore[no-untyped-def]
    """Squared distances from a point to each bucket's box."""
    zero = bounds.dtype.type(0)  # a plain 0 would make the bounds float64
    for bucket in range(len(bounds)):
        dx = max(boxes[0, bucket] - x, x - boxes[3, bucket], zero)
        dy = max(boxes[1, bucket] - y, y - boxes[4, bucket], zero)
        dz = max(boxes[2, bucket] - z, z - boxes[5, bucket], zero)
        bounds[bucket] = dx * dx + dy * dy + dz * dz


@inlined
def _visit(coordinates, low, high, squared, choice, lanes, groups):  # type: ignore[no-untyped-def]
    """Lower the distances of a bucket to the new choice; its largest, and the first that has it."""
    x0, y0, z0 = choice
    # Rows cut one by one are known to be contiguous, and vector instructions read them.
    x, y, z = coordinates[0, low:high], coordinates[1, low:high], coordinates[2, low:high]
    lanes[:] = -2
    groups[:] = 0
    for g in range(len(squared) // _LANES):
        for lane in range(_LANES):  # one vector instruction a line
            i = g * _LANES + lane
            dx, dy, dz = x[i] - x0, y[i] - y0, z[i] - z0
            distance = dx * dx + dy * dy + dz * dz
            kept = distance if distance < squared[i] else squared[i]  # NaN changes nothing
            squared[i] = kept
            better = kept > lanes[lane]
            lanes[lane] = kept if better else lanes[lane]
            groups[lane] = g if better else groups[lane]
    best = 0
    for lane in range(1, _LANES):
        ahead = lanes[lane] > lanes[best]
        level = lanes[lane] == lanes[best]
        if ahead or (level and groups[lane] < groups[best]):
            best = lane
    return lanes[best], groups[best] * _LANES + best
