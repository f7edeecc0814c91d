"""The first look passes what is near, and spares the comparison of most that is not."""

import numpy as np
import pytest

from helpers.bent_shapes import TURN, bracket, triangles
from helpers.measured_shapes import shape
from pc_crvae.collection.first_look import Outline, may_be_near


def outline(corners):
    kept = shape(corners, "a")
    return Outline(kept.moments, kept.points)


def noisy(mesh, share):
    size = np.linalg.norm(np.ptp(mesh.vertices, axis=0))
    noise = np.random.default_rng(0).normal(scale=share * size, size=mesh.vertices.shape)
    return (mesh.vertices + noise)[mesh.faces]


@pytest.mark.parametrize("change", ["turned", "mirrored", "larger", "noisy"])
def test_copies_pass(change):
    mesh = bracket()
    own = triangles(mesh)
    copies = {
        "turned": own @ TURN.T,
        "mirrored": own @ TURN.T * [-1, 1, 1],
        "larger": own * 25.4 + 100,
        "noisy": noisy(mesh, 0.005) @ TURN.T,
    }
    assert may_be_near(outline(own), outline(copies[change]))


def test_a_shape_of_other_proportions_does_not():
    own = triangles(bracket())
    assert not may_be_near(outline(own), outline(own * [1, 1, 1.3]))
