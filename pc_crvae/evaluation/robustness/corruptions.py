"""Seven corruptions of point clouds at five severities.

The recipes, and their parameters, are those of ModelNet-C (Ren, Pan & Liu, "Benchmarking and
Analyzing Point Cloud Classification under Corruptions", ICML 2022), for clouds of 1,024 points
in the unit sphere. The draws are this project's own, so what they make is not that set.
"""

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.clouds import normalize
from pc_crvae.randomness.keys import Key, keyed_numpy_generator

SEVERITIES = (1, 2, 3, 4, 5)

SCALE_BOUNDS = (1.6, 1.7, 1.8, 1.9, 2.0)
"""Each axis is scaled by a factor between 1 / bound and bound, and the cloud normalised again."""

JITTER_SIGMAS = (0.01, 0.02, 0.03, 0.04, 0.05)
"""Standard deviation of Gaussian noise on each coordinate."""

ROTATION_DEGREES = (6.0, 12.0, 18.0, 24.0, 30.0)
"""Largest angle, either way, about each of z, y and x, which follow one another in that order."""

GLOBAL_DROP_RATES = (0.25, 0.375, 0.5, 0.625, 0.75)
"""Share of points left out at random."""

LOCAL_POINTS = (100, 200, 300, 400, 500)
"""Points left out of, or added in, clusters."""

GLOBAL_ADDITIONS = (10, 20, 30, 40, 50)
"""Points added uniformly in the unit ball."""

MOST_CLUSTERS = 7
"""Clusters are 1 to 7 in number; each of their points picks one at random."""

CLUSTER_SIGMAS = (0.075, 0.125)
"""Bounds of the standard deviation of an added cluster."""

_Cloud = NDArray[np.floating]
_Corrupt = Callable[[_Cloud, int, np.random.Generator], _Cloud]


def corrupt(
    points: NDArray[np.float32], corruption: str, severity: int, *key: Key
) -> NDArray[np.float32]:
    """Corrupt each cloud by its own draw.

    Args:
        points: (B, N, 3), mean at 0 and largest radius 1; N > 500 for ``drop_local`` at 5.
        corruption: one of `CORRUPTIONS`.
        severity: 1 to 5.
        key: fixes the draw of each cloud, together with its place in the batch.

    Returns:
        (B, N', 3), N' the same for all: fewer points where some are left out, more where
        some are added.
    """
    function = CORRUPTIONS[corruption]
    corrupted = []
    for place, cloud in enumerate(points):
        rng = keyed_numpy_generator(*key, corruption, severity, place)
        corrupted.append(function(cloud, severity - 1, rng))
    return np.stack(corrupted).astype(np.float32)


def _scale(cloud: _Cloud, level: int, rng: np.random.Generator) -> _Cloud:
    bound = SCALE_BOUNDS[level]
    (scaled,) = normalize((cloud * rng.uniform(1 / bound, bound, 3))[None])
    return cast(_Cloud, scaled)


def _jitter(cloud: _Cloud, level: int, rng: np.random.Generator) -> _Cloud:
    noise: _Cloud = JITTER_SIGMAS[level] * rng.standard_normal(cloud.shape)
    return cloud + noise


def _rotate(cloud: _Cloud, level: int, rng: np.random.Generator) -> _Cloud:
    largest = np.deg2rad(ROTATION_DEGREES[level])
    rotated = cloud.astype(np.float64)
    # Drawn for x, y and z; as in the published suite, whose rows are multiplied by R_z R_y R_x
    # from the right, it is z that comes first, and each angle counts clockwise.
    about_x, about_y, about_z = -rng.uniform(-largest, largest, 3)
    for axis, angle in ((2, about_z), (1, about_y), (0, about_x)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        sine, cosine = np.sin(angle), np.cos(angle)
        rotated[:, [first, second]] = np.stack(
            [
                cosine * rotated[:, first] - sine * rotated[:, second],
                sine * rotated[:, first] + cosine * rotated[:, second],
            ],
            axis=1,
        )
    return rotated


def _drop_global(cloud: _Cloud, level: int, rng: np.random.Generator) -> _Cloud:
    kept = int(len(cloud) * (1 - GLOBAL_DROP_RATES[level]))
    return cloud[rng.permutation(len(cloud))[:kept]]


def _drop_local(cloud: _Cloud, level: int, rng: np.random.Generator) -> _Cloud:
    for size in _cluster_sizes(LOCAL_POINTS[level], rng):
        center = cloud[rng.integers(len(cloud))]
        distances = np.square(cloud - center).sum(axis=1)
        cloud = cloud[np.argpartition(distances, size)[size:]]
    return cloud


def _add_global(cloud: _Cloud, level: int, rng: np.random.Generator) -> _Cloud:
    directions = rng.standard_normal((GLOBAL_ADDITIONS[level], 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = rng.uniform(size=(GLOBAL_ADDITIONS[level], 1)) ** (1 / 3)
    return np.concatenate([cloud, directions * radii])


def _add_local(cloud: _Cloud, level: int, rng: np.random.Generator) -> _Cloud:
    sizes = _cluster_sizes(LOCAL_POINTS[level], rng)
    centers = cloud[rng.permutation(len(cloud))[: len(sizes)]]
    sigmas = rng.uniform(*CLUSTER_SIGMAS, len(sizes))
    added = np.repeat(centers, sizes, axis=0) + np.repeat(sigmas, sizes)[:, None] * (
        rng.standard_normal((sum(sizes), 3))
    )
    # Those outside the unit sphere are drawn in, the farther the more, by their squared radius.
    squared_radii = np.square(added).sum(axis=1, keepdims=True)
    return np.concatenate([cloud, added / np.maximum(squared_radii, 1)])


def _cluster_sizes(total: int, rng: np.random.Generator) -> list[int]:
    clusters = rng.integers(1, MOST_CLUSTERS + 1)
    sizes: list[int] = np.bincount(rng.integers(clusters, size=total), minlength=clusters).tolist()
    return sizes


CORRUPTIONS: Mapping[str, _Corrupt] = {
    "scale": _scale,
    "jitter": _jitter,
    "rotate": _rotate,
    "drop_global": _drop_global,
    "drop_local": _drop_local,
    "add_global": _add_global,
    "add_local": _add_local,
}
"""By their names, in the order of reports."""
