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
    for item in range(start, stop):
        b, i = item // per_cloud, item % per_cloud
        best, winner = extreme[b, i], argument[b, i]
        for neighbor in range(k):
            j = np.int32(indices[b, i, neighbor])
            row = features[b, j]
            if neighbor == 0:
                for c in range(channels):
                    best[c] = row[c] * signs[c]
                    winner[c] = j
            else:
                for c in range(channels):
                    value = row[c] * signs[c]
                    better = (value > best[c]) | (value != value)
                    best[c] = value if better else best[c]
                    winner[c] = j if better else winner[c]
            if summed:
                added = total[b, i]
                if neighbor == 0:
                    added[:] = row
                else:
                    for c in range(channels):
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
    per_cloud, k = indices.shape[1], indices.shape[2]
    channels = gradient.shape[2]
    parts = (channels + width - 1) // width
    summed = total_gradient.size > 0
    for item in range(start, stop):
        b, first = item // parts, item % parts * width
        last = min(first + width, channels)
        gradient[b, :, first:last] = 0
        for i in range(per_cloud):
            for c in range(first, last):
                gradient[b, argument[b, i, c], c] += extreme_gradient[b, i, c]
            if summed:
                for neighbor in range(k):
                    j = indices[b, i, neighbor]
                    for c in range(first, last):
                        gradient[b, j, c] += total_gradient[b, i, c]
