"""Pairs of a collection: each copy is told once, beside what it is the strictest copy of."""

import numpy as np
import trimesh

from helpers.bent_shapes import TURN, body, bracket, triangles
from helpers.measured_shapes import shape
from pc_crvae.collection.comparison import compare
from pc_crvae.collection.duplicates import find_duplicates


class Compared:
    """Compares meshes at once, without files."""

    def __init__(self, meshes):
        self.meshes = meshes
        self.found = {}

    def is_known(self, pair):
        return pair in self.found

    def compare(self, pair):
        first, second = (body(self.meshes[row]) for row in pair)
        return self.found.setdefault(pair, compare(first, second))

    def compare_all(self, pairs):
        return map(self.compare, pairs)


def pairs_of(meshes, digests=None, units=None):
    digests = digests or [str(row) for row in range(len(meshes))]
    shapes = [shape(corners, digest) for corners, digest in zip(meshes, digests, strict=True)]
    units = np.eye(len(meshes)) if units is None else units
    found = find_duplicates(shapes, units, Compared(meshes))
    return {(pair.first, pair.second): pair.kind for pair in found}


def test_each_copy_is_told_beside_what_it_is_nearest_to():
    own = triangles(bracket())
    finer = triangles(bracket().subdivide())
    rod = triangles(trimesh.creation.cylinder(radius=0.1, height=2))
    meshes = [own, rod, own @ TURN.T * 25.4, finer, finer @ TURN.T * 25.4, own, own * [-1, 1, 1]]
    found = pairs_of(meshes, ["a", "b", "c", "d", "e", "a", "f"])
    assert found == {
        (0, 5): "same file",
        (0, 3): "same geometry",
        (2, 4): "same geometry",
        (0, 2): "scaled",
        (0, 6): "mirrored",
    }


def test_near_copies_are_looked_for_where_the_embedding_says():
    mesh = bracket()
    noise = np.random.default_rng(0).normal(scale=0.01, size=mesh.vertices.shape)
    near = (mesh.vertices + noise)[mesh.faces]
    others = [triangles(bracket(2 + k)) for k in range(2, 5)]
    assert pairs_of([triangles(mesh), *others, near]) == {(0, 4): "near"}


def test_without_measures_a_shape_is_compared_with_nothing():
    own = triangles(bracket())
    assert find_duplicates([None, shape(own, "a"), None], np.eye(3), Compared([own])) == []
