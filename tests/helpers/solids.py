"""A labelled set of clouds that anything can tell apart."""

import numpy as np

from pc_crvae.data.clouds import CloudSet, normalize

CLASSES = ("pole", "slab", "ball")


def clouds(split, per_class=12, seed=0):
    """Poles along x, slabs across z, balls: told apart by their axes' spreads."""
    rng = np.random.default_rng([seed, len(split)])
    labels = np.repeat(np.arange(3), per_class)
    sides = np.array([[1, 0.3, 0.2], [0.9, 1, 0.2], [1, 1, 1]])[labels]
    points = rng.normal(size=(len(labels), 40, 3)) * sides[:, None]
    return CloudSet(
        name="solids",
        split=split,
        points=normalize(points),
        labels=labels,
        classes=CLASSES,
        ids=tuple(f"{split}{row}" for row in range(len(labels))),
    )
