"""Extremes and sums of features over neighbours, and the way back, channel by channel."""

import numpy as np

from pc_crvae.geometry.kernels.cpu.parallel import compiled


@compiled
def pool(features, indices, signs, extreme, argument, total, start, stop):  # type: ignore[no-untyped-def]
    """Pool ``features`` (B, M, C) over ``indices`` (B, N, k) for a range of the B * N points.

    Fills ``extreme`` (B, N, C), the largest where ``signs`` (C,) is 1 and the smallest where it
    is -1, NaN where there is one; ``argument`` (B, N, C) int32, the first that gave it; and
    ``total`` (B, N, C), the sum, unless it is empty.
    """
    per_cloud, k = indices.shape[1], indices.shape[2]
    channels = features.shape[2]
    summed = total.size > 0
    nothing = np.zeros(channels, features.dtype)
    for item in range(start, stop):
        b, i = item // per_cloud, item % per_cloud
        best, winner = extreme[b, i], argument[b, i]
        added = total[b, i] if summed else nothing
        best[:] = -np.inf
        winner[:] = indices[b, i, 0]
        added[:] = 0
        paired = k // 2 * 2
        for neighbor in range(0, paired, 2):  # two at a time halve the traffic of what is kept
            j, j_next = np.int32(indices[b, i, neighbor]), np.int32(indices[b, i, neighbor + 1])
            row, row_next = features[b, j], features[b, j_next]
            for c in range(channels):
                value, value_next = row[c] * signs[c], row_next[c] * signs[c]
                highest, index = best[c], winner[c]
                better = (value > highest) | ((value != value) & (highest == highest))
                highest = value if better else highest
                index = j if better else index
                better = (value_next > highest) | (
                    (value_next != value_next) & (highest == highest)
                )
                best[c] = value_next if better else highest
                winner[c] = j_next if better else index
                added[c] += row[c] + row_next[c]
        if paired < k:
            j = np.int32(indices[b, i, paired])
            row = features[b, j]
            for c in range(channels):
                value = row[c] * signs[c]
                better = (value > best[c]) | ((value != value) & (best[c] == best[c]))
                best[c] = value if better else best[c]
                winner[c] = j if better else winner[c]
                added[c] += row[c]
        for c in range(channels):
            best[c] *= signs[c]


@compiled
def unpool(  # type: ignore[no-untyped-def]
    extreme_gradient, argument, total_gradient, indices, width, gradient, start, stop
):
    """The gradient of :func:`pool` in ``gradient`` (B, M, C), for a range of its parts.

    A part is one cloud's ``width`` channels, so that no two parts meet; ``total_gradient`` is
    empty where the sum was not asked for.
    """
    n_points, channels = gradient.shape[1], gradient.shape[2]
    per_cloud, k = indices.shape[1], indices.shape[2]
    parts = (channels + width - 1) // width
    summed = total_gradient.size > 0
    first_edge = np.empty(n_points + 1, np.int64)
    edges = np.empty(per_cloud * k if summed else 0, np.int32)
    for item in range(start, stop):
        b, first = item // parts, item % parts * width
        last = min(first + width, channels)
        if summed:
            # Summing what arrives at a point writes its row once, where scattering what leaves
            # each point would write a row for every edge.
            _list_incoming(indices[b], first_edge, edges)
            for j in range(n_points):
                row = gradient[b, j, first:last]
                row[:] = 0
                edge, end = first_edge[j], first_edge[j + 1]
                while edge + 1 < end:
                    one = total_gradient[b, edges[edge], first:last]
                    other = total_gradient[b, edges[edge + 1], first:last]
                    for c in range(last - first):
                        row[c] += one[c] + other[c]
                    edge += 2
                if edge < end:
                    one = total_gradient[b, edges[edge], first:last]
                    for c in range(last - first):
                        row[c] += one[c]
        else:
            gradient[b, :, first:last] = 0
        for i in range(per_cloud):
            for c in range(first, last):
                gradient[b, argument[b, i, c], c] += extreme_gradient[b, i, c]


@compiled
def _list_incoming(indices, first_edge, edges):  # type: ignore[no-untyped-def]
    """Sort the edges of ``indices`` (N, k) by the point they name.

    The points that name j are ``edges[first_edge[j]:first_edge[j + 1]]``, in ascending order.
    """
    first_edge[:] = 0
    for i in range(indices.shape[0]):
        for neighbor in range(indices.shape[1]):
            first_edge[indices[i, neighbor] + 1] += 1
    for j in range(1, len(first_edge)):
        first_edge[j] += first_edge[j - 1]
    filled = first_edge[:-1].copy()
    for i in range(indices.shape[0]):
        for neighbor in range(indices.shape[1]):
            j = indices[i, neighbor]
            edges[filled[j]] = i
            filled[j] += 1
