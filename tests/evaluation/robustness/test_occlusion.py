import numpy as np
import pytest

from pc_crvae.evaluation.robustness.occlusion import CAMERA_DISTANCE, camera_at, visible_points

RNG = np.random.default_rng(0)


def sphere(count=1024):
    points = RNG.standard_normal((count, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize(("elevation", "azimuth"), [(0, 0), (30, 200), (90, 0), (-50, 75)])
def test_of_a_sphere_the_half_that_faces_the_camera_is_seen(elevation, azimuth):
    points, camera = sphere(), camera_at(elevation, azimuth)
    seen = visible_points(points, camera)
    assert 0.4 < seen.mean() < 0.55
    towards = points @ camera / CAMERA_DISTANCE
    horizon = 1 / CAMERA_DISTANCE  # where lines of sight touch the sphere
    assert seen[towards > horizon].all()
    assert not seen[towards < horizon - 0.25].any()


def test_cameras_stand_where_they_are_said_to():
    np.testing.assert_allclose(camera_at(0, 90) / CAMERA_DISTANCE, [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(camera_at(90, 17) / CAMERA_DISTANCE, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(camera_at(30, 0) / CAMERA_DISTANCE, [0.75**0.5, 0, 0.5])


def test_a_wall_hides_another_behind_it():
    wall = RNG.uniform(-0.7, 0.7, (512, 3)) * [0, 1, 1]
    apart = np.array([0.1, 0, 0])
    seen = visible_points(np.concatenate([wall + apart, wall - apart]), camera_at(0, 0))
    assert seen[:512].all()
    assert seen[512:].mean() < 0.2  # at the rims alone, where the view passes the front wall


def test_the_bottom_of_a_bowl_is_seen_from_above_and_not_from_the_side():
    bowl = sphere(2048)
    bowl = bowl[bowl[:, 2] < 0]
    bottom = bowl[:, 2] < -0.9
    assert visible_points(bowl, camera_at(90, 0))[bottom].all()
    covered = np.concatenate([bowl, 0.5 * sphere(200)])
    assert visible_points(covered, camera_at(90, 0))[: len(bowl)][bottom].mean() < 0.1


def test_points_at_one_place_are_seen_together():
    points = np.repeat(sphere(300), 3, axis=0)
    seen = visible_points(points, camera_at(20, 40)).reshape(300, 3)
    assert (seen == seen[:, :1]).all()
    assert 0.3 < seen.mean() < 0.6


def test_flat_clouds_seen_edge_on_and_clouds_in_line_show_what_is_in_front():
    angles = np.linspace(0, 2 * np.pi, 100, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles), np.zeros(100)], axis=1)
    seen = visible_points(circle, camera_at(0, 0))
    assert seen[circle[:, 0] > 0.15].all()
    assert not seen[circle[:, 0] < -0.15].any()
    line = np.linspace(-1, 1, 9)[:, None] * [1.0, 0, 0]
    assert visible_points(line, camera_at(0, 0)).tolist() == [False] * 8 + [True]
    assert visible_points(line[:1], camera_at(0, 0)).tolist() == [True]
