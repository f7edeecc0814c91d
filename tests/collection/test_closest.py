"""Closest points on triangles, against a search through every triangle."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from trimesh.triangles import closest_point

from helpers.bent_shapes import body, bracket, cloud, cloud_body, triangles
from pc_crvae.collection.closest import TriangleSearch
from pc_crvae.collection.closest_points import closest_points
from pc_crvae.collection.poses import Pose


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
    again = closest_point(search.mesh[found.parts], found.places)
    np.testing.assert_allclose(again, found.places, atol=1e-12)


def test_a_needle_without_area_is_a_segment():
    needle = np.array([[[0.0, 0, 0], [1, 0, 0], [2, 0, 0]]])
    found = TriangleSearch(needle).closest(np.array([[1.5, 1, 0], [3.0, 0, 0]]))
    np.testing.assert_allclose(found.distances, [1, 1])


def test_a_pose_a_little_off_is_brought_back_to_the_surface_and_to_the_points_of_a_cloud():
    turn = Rotation.from_rotvec([0.05, -0.08, 0.06]).as_matrix()
    off = Pose(1.03, turn, np.array([0.05, -0.02, 0.03]))
    for one in (body(triangles(bracket())), cloud_body(cloud(bracket(), 400, 0))):
        found = one.descend(one.samples, off, 60)
        assert np.isclose(found.scale, 1, atol=1e-3)
        np.testing.assert_allclose(found.apply(one.samples), one.samples, atol=5e-3)


def test_the_closest_of_a_cloud_are_those_of_a_tree():
    rng = np.random.default_rng(0)
    points, among = rng.normal(size=(37, 3)), rng.normal(size=(101, 3))
    distances, rows = closest_points(points, among)
    expected = cKDTree(among).query(points)
    np.testing.assert_allclose(distances, expected[0])
    np.testing.assert_array_equal(rows, expected[1])
