"""Near-copies by their definition: every basis point, every point, every pair."""

import math

import numpy as np


def distances_by_loops(basis, clouds):
    """(n, F): how far each basis point is from the nearest point of each cloud."""
    return np.array(
        [
            [min(math.dist(place, point) for point in cloud) for place in basis.tolist()]
            for cloud in clouds.tolist()
        ]
    )


def pairs_by_loops(first, second, threshold):
    """{(row, other row): root mean square difference} of those below the threshold."""
    found = {}
    for row, ours in enumerate(first.astype(np.float64)):
        for other, theirs in enumerate(second.astype(np.float64)):
            apart = math.sqrt(np.mean((ours - theirs) ** 2))
            if apart < threshold:
                found[row, other] = apart
    return found
