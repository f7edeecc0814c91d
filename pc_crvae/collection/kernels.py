"""The compiled functions of comparisons, made ready before other processes load them."""

from functools import cache

import numpy as np

from pc_crvae.collection.bodies import CloudBody, SurfaceBody
from pc_crvae.collection.poses import Pose
from pc_crvae.utils.compiling import telling_of_compiling


@cache
def compile_kernels() -> None:
    """Compile what comparisons call, and tell of it where that takes long.

    Once it is done, every process loads from the disk what this one compiled.
    """
    corners = np.random.default_rng(0).random((8, 3, 3))
    as_it_is = Pose(1.0, np.eye(3), np.zeros(3))
    with telling_of_compiling():
        for body in (SurfaceBody(corners), CloudBody(corners[:, 0])):
            body.descend(body.samples, as_it_is, 1)
