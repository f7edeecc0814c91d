"""The measures by which shapes are compared."""

import numpy as np
import trimesh

from helpers.bent_shapes import TURN, body, bracket, cloud, cloud_body, triangles
from pc_crvae.collection.moments import (
    finer_invariants,
    invariants,
    moments_of_cloud,
    moments_of_mesh,
    size_of,
)
from pc_crvae.data.surface_sampling import sample_surface

MEASURES = (invariants, finer_invariants)


def test_moments_of_a_box_are_those_of_the_formula():
    sides = np.array([1.0, 2.0, 3.0])
    moments = moments_of_mesh(triangles(trimesh.creation.box(sides)) + 100)
    a, b, c = sides
    assert np.isclose(moments.area, 2 * (a * b + b * c + c * a))
    np.testing.assert_allclose(moments.center, 100)
    # Faces across x lie at a / 2; the others spread evenly over a.
    expected = (2 * b * c * a**2 / 4 + 2 * (c * a + a * b) * a**2 / 12) / moments.area
    assert np.isclose(moments.covariance[0, 0], expected)
    assert np.isclose(moments.covariance[0, 1], 0, atol=1e-9)


def test_what_moves_turns_mirrors_scales_or_cuts_a_shape_leaves_the_invariants():
    mesh = bracket()
    own, finer = (measures(moments_of_mesh(triangles(mesh))) for measures in MEASURES)
    for corners in (
        triangles(mesh) @ TURN.T * 25.4 + [3, 1, -9],
        triangles(mesh) * [1, -1, 1],
        triangles(mesh.subdivide()),
    ):
        moments = moments_of_mesh(corners)
        np.testing.assert_allclose(invariants(moments), own, atol=1e-9)
        np.testing.assert_allclose(finer_invariants(moments), finer, atol=1e-9)
    other = invariants(moments_of_mesh(triangles(bracket(3.2))))
    assert np.abs(other - own).max() > 1e-3


def test_skewness_and_kurtosis_are_the_means_over_the_surface():
    mesh = triangles(bracket())
    moments = moments_of_mesh(mesh)
    points = sample_surface(mesh, 200_000, np.random.default_rng(0)) - moments.center
    points /= size_of(moments)
    squares = np.square(points).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(moments.skewness, (squares * points).mean(axis=0), atol=0.02)
    kurtosis = (squares * points).T @ points / len(points)
    np.testing.assert_allclose(moments.kurtosis, kurtosis, atol=0.04)
    # As many points of a cloud have the same by definition.
    drawn = moments_of_cloud(points)
    np.testing.assert_allclose(drawn.kurtosis, kurtosis, atol=0.05)


def test_a_body_is_centred_and_of_size_1():
    own = body(triangles(bracket()) * 7 + 50)
    points = own.samples[:600]
    assert np.linalg.norm(points.mean(axis=0)) < 0.15
    assert abs(np.square(points).sum(axis=1).mean() - 1) < 0.1
    assert own.closest(own.samples).distances.max() < 1e-12


def test_the_floor_of_a_cloud_is_how_far_another_draw_of_it_lies():
    mesh = bracket()
    first, second = (cloud_body(cloud(mesh, 1500, seed)) for seed in (0, 1))
    there = np.sqrt(np.square(first.closest(second.samples).distances).mean())
    assert abs(there / first.floor - 1) < 0.15
