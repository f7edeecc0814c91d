"""Shapes as a collection keeps them, made without files."""

import numpy as np

from pc_crvae.collection.moments import moments_of_mesh, size_of
from pc_crvae.collection.shapes import Shape
from pc_crvae.data.surface_sampling import sample_surface


def shape(corners, digest):
    moments = moments_of_mesh(corners)
    drawn = sample_surface(corners, 512, np.random.default_rng(0))
    return Shape(
        digest=digest,
        kind="mesh",
        vertices=3 * len(corners),
        triangles=len(corners),
        box=tuple(np.ptp(corners, axis=(0, 1))),
        volume=None,
        moments=moments,
        points=((drawn - moments.center) / size_of(moments)).astype(np.float32),
    )
