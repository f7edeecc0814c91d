"""Neighbour searches in space: exact, by brute force where that wins, pruned by boxes elsewhere.

For the pruned searches each cloud is sorted along a space-filling curve (Morton 1966) and cut
into blocks of consecutive points, whose bounding boxes then tell which blocks cannot hold a
nearer point. The box about some consecutive blocks, a region, tells it of them all at once, so
that a search in a large cloud looks at few boxes. The bound is computed by the very operations of
a distance, each of them monotonic in floating point, so that no rounding can make it exceed the
distance it bounds.
"""

from typing import NamedTuple

import numpy as np

from pc_crvae.geometry.kernels.cpu.parallel import compiled, inlined

BLOCK = 16
"""Points of a block, one vector register of float32."""

REGION = 64
"""Blocks of a region."""

_LANES = 64
"""Queries of a group, searched side by side."""

_GRID = 1024
"""Cells along each axis of the curve."""


class SortedBlocks(NamedTuple):
    """Clouds sorted along a curve.

    Attributes:
        order: (B, N) int64, as :func:`sort_along_curve` fills it.
        coordinates: (B, 3, P), likewise.
        boxes: (B, 6, P / BLOCK), likewise.
        regions: (B, 6, R) the bounds of the blocks of each region.
    """

    order: np.ndarray
    coordinates: np.ndarray
    boxes: np.ndarray
    regions: np.ndarray


@compiled
def sort_along_curve(points, order, coordinates, boxes, start, stop):  # type: ignore[no-untyped-def]
    """Sort clouds ``points`` (B, N, 3) of the range, and box their blocks.

    Fills ``order`` (B, N) int64, original indices by place; ``coordinates`` (B, 3, P), the
    sorted points padded with infinity; ``boxes`` (B, 6, P / BLOCK), lower then upper corners.
    """
    count = points.shape[1]
    keys = np.empty(count, np.int64)
    for b in range(start, stop):
        keys[:] = 0
        for axis in range(3):
            lowest, high = _extent(points[b, :, axis])
            low = np.float64(lowest)
            scale = (_GRID - 1) / (high - low) if high > low else 0.0
            for i in range(count):
                cell = (points[b, i, axis] - low) * scale
                # False for NaN too, which has no cell.
                keys[i] |= _spread_bits(np.int64(cell) if cell > 0 else np.int64(0)) << axis
        sorted_order = np.argsort(keys)
        for i in range(count):
            order[b, i] = sorted_order[i]
            for axis in range(3):
                coordinates[b, axis, i] = points[b, sorted_order[i], axis]
        coordinates[b, :, count:] = np.inf
        for block in range(boxes.shape[2]):
            for axis in range(3):
                own = coordinates[b, axis, block * BLOCK : min(count, (block + 1) * BLOCK)]
                boxes[b, axis, block], boxes[b, axis + 3, block] = _extent(own)


@inlined
def _extent(values):  # type: ignore[no-untyped-def]
    """The least and the largest of values, NaN left out."""
    low = values.dtype.type(np.inf)  # a plain one would make both float64
    high = -low
    for value in values:
        low = value if value < low else low
        high = value if value > high else high
    return low, high


@compiled
def _spread_bits(cell):  # type: ignore[no-untyped-def]
    """The ten bits of ``cell``, two zeros between each and the next."""
    cell = (cell | (cell << 16)) & 0xFF0000FF
    cell = (cell | (cell << 8)) & 0x0F00F00F
    cell = (cell | (cell << 4)) & 0xC30C30C3
    return (cell | (cell << 2)) & 0x49249249


@compiled
def nearest_by_scan(query, reference, nearest, start, stop):  # type: ignore[no-untyped-def]
    """Fill ``nearest`` (B, N) for the range of the B * N queries, comparing all pairs."""
    per_cloud = query.shape[1]
    x, y = np.empty(_LANES, query.dtype), np.empty(_LANES, query.dtype)
    z, best = np.empty(_LANES, query.dtype), np.empty(_LANES, query.dtype)
    index = np.empty(_LANES, np.int32)
    item = start
    while item < stop:
        b, first = item // per_cloud, item % per_cloud
        lanes = min(_LANES, per_cloud - first, stop - item)
        for lane in range(_LANES):
            i = first + min(lane, lanes - 1)
            x[lane], y[lane], z[lane] = query[b, i, 0], query[b, i, 1], query[b, i, 2]
        _scan(reference[b], x, y, z, best, index)
        for lane in range(lanes):
            nearest[b, first + lane] = index[lane]
        item += lanes


@inlined
def _scan(reference, x, y, z, best, index):  # type: ignore[no-untyped-def]
    best[:] = np.inf
    index[:] = 0
    for j in range(reference.shape[0]):
        xj, yj, zj = reference[j, 0], reference[j, 1], reference[j, 2]
        for lane in range(_LANES):  # one vector instruction a line
            dx, dy, dz = x[lane] - xj, y[lane] - yj, z[lane] - zj
            distance = dx * dx + dy * dy + dz * dz
            nearer = distance < best[lane]
            best[lane] = distance if nearer else best[lane]
            index[lane] = j if nearer else index[lane]


@compiled
def nearest_by_blocks(queries, reference, sorted_reference, nearest, start, stop):  # type: ignore[no-untyped-def]
    """Fill ``nearest`` (B, N) for the range of the B * N sorted queries.

    ``queries`` and ``sorted_reference`` are :class:`SortedBlocks`; ``reference`` (B, M, 3) is the
    cloud as it was, scanned for the groups of queries whose boxes exclude too little, as with a
    distant, collapsed cloud.
    """
    query_order, query = queries.order, queries.coordinates
    order, coordinates = sorted_reference.order, sorted_reference.coordinates
    boxes, regions = sorted_reference.boxes, sorted_reference.regions
    per_cloud, blocks = query_order.shape[1], boxes.shape[2]
    x, y = np.empty(_LANES, query.dtype), np.empty(_LANES, query.dtype)
    z, best = np.empty(_LANES, query.dtype), np.empty(_LANES, query.dtype)
    index = np.empty(_LANES, np.int32)
    bounds, own = np.empty(blocks, query.dtype), np.empty(6, query.dtype)
    far = np.empty(regions.shape[2], query.dtype)
    item = start
    while item < stop:
        b, first = item // per_cloud, item % per_cloud
        lanes = min(_LANES, per_cloud - first, stop - item)
        for lane in range(_LANES):
            i = first + min(lane, lanes - 1)
            x[lane], y[lane], z[lane] = query[b, 0, i], query[b, 1, i], query[b, 2, i]
        # The lower, then the upper corner of the queries' box.
        own[0], own[3] = _extent(x)
        own[1], own[4] = _extent(y)
        own[2], own[5] = _extent(z)
        home = _nearest_block(own, boxes[b], regions[b], far, bounds)
        best[:] = np.inf
        index[:] = 0
        worst = best[0]
        for block in range(max(home - 2, 0), min(home + 3, blocks)):
            worst = _visit(coordinates[b], order[b], block, (x, y, z), best, index)
        near = 0
        for region in range(len(far)):
            if far[region] <= worst:
                low, high = region * REGION, min((region + 1) * REGION, blocks)
                _bound_boxes(own, boxes[b], low, high, bounds[low:high])
                for block in range(low, high):
                    near += bounds[block] <= worst
        if 2 * near > blocks:
            _scan(reference[b], x, y, z, best, index)
        else:
            for region in range(len(far)):
                # Equality counts: an equally near point may have a lower index. What the first
                # count passed over stays passed over, as the worst distance only falls.
                if far[region] > worst:
                    continue
                for block in range(region * REGION, min((region + 1) * REGION, blocks)):
                    if bounds[block] <= worst and (block < home - 2 or block > home + 2):
                        worst = _visit(coordinates[b], order[b], block, (x, y, z), best, index)
        for lane in range(lanes):
            nearest[b, query_order[b, first + lane]] = index[lane]
        item += lanes


@inlined
def _nearest_block(own, boxes, regions, far, bounds):  # type: ignore[no-untyped-def]
    """Fill ``far`` with the bounds of all regions; a block nearest to the box ``own``."""
    _bound_boxes(own, regions, 0, len(far), far)
    first = 0
    for region in range(len(far)):
        if far[region] < far[first]:
            first = region
    home = first * REGION
    least = far.dtype.type(np.inf)
    for turn in range(-1, len(far)):
        region = first if turn < 0 else turn  # the nearest region first, so that most others fail
        if far[region] < least:
            low, high = region * REGION, min((region + 1) * REGION, len(bounds))
            _bound_boxes(own, boxes, low, high, bounds[low:high])
            for block in range(low, high):
                if bounds[block] < least:
                    home, least = block, bounds[block]
    return home


@inlined
def _bound_boxes(own, boxes, start, stop, bounds):  # type: ignore[no-untyped-def]
    """Squared distances between the box ``own`` (6,) and each of ``boxes`` (6, n) of the range."""
    x_low, y_low, z_low = own[0], own[1], own[2]
    x_high, y_high, z_high = own[3], own[4], own[5]
    # Rows cut one by one are known to be contiguous, and vector instructions read them.
    x_lower, x_upper = boxes[0, start:stop], boxes[3, start:stop]
    y_lower, y_upper = boxes[1, start:stop], boxes[4, start:stop]
    z_lower, z_upper = boxes[2, start:stop], boxes[5, start:stop]
    zero = bounds.dtype.type(0)  # a plain 0 would make the bounds float64
    for block in range(len(bounds)):
        dx = max(x_lower[block] - x_high, x_low - x_upper[block], zero)
        dy = max(y_lower[block] - y_high, y_low - y_upper[block], zero)
        dz = max(z_lower[block] - z_high, z_low - z_upper[block], zero)
        bounds[block] = dx * dx + dy * dy + dz * dz


@inlined
def _visit(coordinates, order, block, queries, best, index):  # type: ignore[no-untyped-def]
    """Compare the queries with one block; returns the largest of their distances so far."""
    x, y, z = queries
    for j in range(block * BLOCK, min((block + 1) * BLOCK, order.shape[0])):
        xj, yj, zj = coordinates[0, j], coordinates[1, j], coordinates[2, j]
        original = np.int32(order[j])
        for lane in range(_LANES):
            dx, dy, dz = x[lane] - xj, y[lane] - yj, z[lane] - zj
            distance = dx * dx + dy * dy + dz * dz
            nearer = (distance < best[lane]) | ((distance == best[lane]) & (original < index[lane]))
            best[lane] = distance if nearer else best[lane]
            index[lane] = original if nearer else index[lane]
    worst = best[0]
    for lane in range(_LANES):
        worst = best[lane] if best[lane] > worst else worst
    return worst


@compiled
def k_nearest_by_blocks(clouds, neighbors, start, stop):  # type: ignore[no-untyped-def]
    """Fill ``neighbors`` (B, N, k) for the range of the B * N sorted points, itself first.

    ``clouds`` are :class:`SortedBlocks`.
    """
    order, coordinates, boxes, regions = clouds
    per_cloud, blocks, k = order.shape[1], boxes.shape[2], neighbors.shape[2]
    bounds = np.empty(REGION, coordinates.dtype)
    far = np.empty(regions.shape[2], coordinates.dtype)
    scratch = np.empty(BLOCK, coordinates.dtype)
    distances = np.empty(k, coordinates.dtype)
    places = np.empty(k, np.int64)
    for item in range(start, stop):
        b, i = item // per_cloud, item % per_cloud
        point = coordinates[b, 0, i], coordinates[b, 1, i], coordinates[b, 2, i]
        own = (*point, *point)  # the box of one point
        distances[:] = np.inf
        distances[0] = -1  # itself, before all that coincide with it
        places[0] = i
        places[1:] = -1
        home = i // BLOCK
        for block in range(max(home - 1, 0), min(home + 2, blocks)):
            _collect(coordinates[b], block, i, point, scratch, distances, places)
        _bound_boxes(own, regions[b], 0, len(far), far)
        for region in range(len(far)):
            if not far[region] < distances[k - 1]:
                continue
            low, high = region * REGION, min((region + 1) * REGION, blocks)
            _bound_boxes(own, boxes[b], low, high, bounds[: high - low])
            for rank in range(high - low):
                if bounds[rank] < distances[k - 1]:
                    block = low + rank
                    if block < home - 1 or block > home + 1:
                        _collect(coordinates[b], block, i, point, scratch, distances, places)
        if places[k - 1] < 0:
            _fill(places, per_cloud)
        for rank in range(k):
            neighbors[b, order[b, i], rank] = order[b, places[rank]]


@inlined
def _collect(coordinates, block, itself, point, scratch, distances, places):  # type: ignore[no-untyped-def]
    """Insert the points of a block that are near enough into the sorted ``distances``."""
    x, y, z = point
    last = len(distances) - 1
    # The mask changes nothing; by it the compiler knows that no index counts from the end.
    first = (block * BLOCK) & 0x7FFFFFFF
    near = 0
    for j in range(BLOCK):
        dx = coordinates[0, first + j] - x
        dy = coordinates[1, first + j] - y
        dz = coordinates[2, first + j] - z
        scratch[j] = dx * dx + dy * dy + dz * dz
        near += scratch[j] < distances[last]
    if near == 0:
        return
    for j in range(BLOCK):
        distance = scratch[j]
        if distance < distances[last] and first + j != itself:
            rank = last
            while distances[rank - 1] > distance:  # the -1 in front ends it
                distances[rank] = distances[rank - 1]
                places[rank] = places[rank - 1]
                rank -= 1
            distances[rank] = distance
            places[rank] = first + j


@compiled
def _fill(places, count):  # type: ignore[no-untyped-def]
    """Complete a list that points with NaN or infinite distances left short."""
    rank = 0
    while places[rank] >= 0:
        rank += 1
    for place in range(count):
        if rank == len(places):
            return
        taken = False
        for other in range(rank):
            taken |= places[other] == place
        if not taken:
            places[rank] = place
            rank += 1
