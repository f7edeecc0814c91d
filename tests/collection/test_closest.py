"""Closest points on triangles, against a search through every triangle."""

import numpy as np
import pytest
from trimesh.triangles import closest_point

from pc_crvae.collection.closest import TriangleSearch


@pytest.mark.parametrize("count", [1, 16, 17, 200])
def test_the_closest_point_is_that_of_a_search_through_all(count):
    rng = np.random.default_rng(count)
    mesh = rng.normal(size=(count, 1, 3)) * 2 + rng.normal(size=(count, 3, 3))
    points = rng.normal(size=(60, 3)) * 3
    found = TriangleSearch(mesh).closest(points)
    every = np.stack([closest_point(np.repeat(one[None], 60, 0), points) for one in mesh])
    distances = np.linalg.norm(every - points, axis=2).min(axis=0)
    np.testing.assert_allclose(found.distances, distances, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found.places - points, axis=1), distances, atol=1e-12)


def test_the_triangle_that_is_named_holds_the_point():
    rng = np.random.default_rng(0)
    search = TriangleSearch(rng.normal(size=(50, 3, 3)))
    found = search.closest(rng.normal(size=(40, 3)))
    again = closest_point(search.mesh[found.triangles], found.places)
    np.testing.assert_allclose(again, found.places, atol=1e-12)


def test_a_needle_without_area_is_a_segment():
    needle = np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    found = TriangleSearch(needle).closest(np.array([[1.5, 1, 0], [3.0, 0, 0]]))
    np.testing.assert_allclose(found.distances, [1, 1])
