"""The procedural data set `shapes`: upright, pose-aligned everyday objects, without a download."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.procedural.furniture import bookcase, desk, dresser, ladder, table
from pc_crvae.data.procedural.household import guitar, lamp, monitor, umbrella
from pc_crvae.data.procedural.seating import bed, bench, chair, sofa, stool
from pc_crvae.data.procedural.solids import moved
from pc_crvae.data.procedural.vehicles import airplane, car
from pc_crvae.data.procedural.vessels import bottle, bowl, cup, vase
from pc_crvae.data.surface_sampling import Mesh, sample_surface
from pc_crvae.randomness.keys import keyed_numpy_generator

_MAKERS: tuple[Callable[[np.random.Generator], Mesh], ...] = (
    airplane,
    bed,
    bench,
    bookcase,
    bottle,
    bowl,
    car,
    chair,
    cup,
    desk,
    dresser,
    guitar,
    ladder,
    lamp,
    monitor,
    sofa,
    stool,
    table,
    umbrella,
    vase,
)

_STRETCH = 0.25
"""Every shape is scaled along each axis by a factor between exp(-0.25) and exp(0.25)."""

CLASSES: tuple[str, ...] = tuple(maker.__name__ for maker in _MAKERS)
"""Class names in the order of their labels."""


def make_mesh(seed: int, index: int) -> Mesh:
    """The surface that cloud ``index`` of ``make_shapes(..., seed)`` is drawn from: (T, 3, 3)."""
    return _make_mesh(index, keyed_numpy_generator("shapes", seed, index))


def make_shapes(
    count: int, points: int, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Make ``count`` labelled clouds; number i depends on (seed, i) alone.

    Classes take turns, so any run of ``len(CLASSES)`` shapes holds each once. Points are drawn
    independently and uniformly by area. Every shape stands on z = 0 and faces +x; clouds are
    not centred or scaled.

    Args:
        count: number of shapes n.
        points: points a cloud P.
        seed: the seed of the whole set; another seed makes other shapes.

    Returns:
        Points (n, P, 3) float32 and labels (n,) int64, indices into `CLASSES`.
    """
    clouds = np.empty((count, points, 3), dtype=np.float32)
    for index in range(count):
        rng = keyed_numpy_generator("shapes", seed, index)
        clouds[index] = sample_surface(_make_mesh(index, rng), points, rng)
    return clouds, np.arange(count, dtype=np.int64) % len(CLASSES)


def _make_mesh(index: int, rng: np.random.Generator) -> Mesh:
    stretch = np.exp(rng.uniform(-_STRETCH, _STRETCH, 3))
    mesh = _MAKERS[index % len(_MAKERS)](rng) * stretch
    return moved(mesh, (0, 0, -mesh[..., 2].min()))
