import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pc_crvae.data.clouds import normalize
from pc_crvae.evaluation.robustness.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    corrupt,
)
from pc_crvae.randomness.keys import keyed_numpy_generator

CLOUDS = normalize(np.random.default_rng(0).normal(size=(6, 1024, 3)))
COUNTS = {
    "drop_global": [768, 640, 512, 384, 256],
    "drop_local": [924, 824, 724, 624, 524],
    "add_global": [1034, 1044, 1054, 1064, 1074],
    "add_local": [1124, 1224, 1324, 1424, 1524],
}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_counts_are_the_published_ones_and_every_cloud_has_its_own_draw(name, severity):
    corrupted = corrupt(CLOUDS, name, severity, "test", 0)
    assert corrupted.shape == (6, COUNTS.get(name, [1024] * 5)[severity - 1], 3)
    assert corrupted.dtype == np.float32
    np.testing.assert_array_equal(corrupted, corrupt(CLOUDS, name, severity, "test", 0))
    assert not np.array_equal(corrupted, corrupt(CLOUDS, name, severity, "test", 1))
    twins = corrupt(CLOUDS[[0, 0]], name, severity, "test", 0)
    assert not np.array_equal(twins[0], twins[1])


@pytest.mark.parametrize("severity", SEVERITIES)
def test_scales_stay_within_the_published_bound(severity):
    bound = 1.5 + severity / 10
    corners = normalize(np.array([[[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]]))
    scaled = corrupt(np.repeat(corners, 400, axis=0), "scale", severity, "test")
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=2).max(axis=1), 1, rtol=1e-6)
    sides = np.ptp(scaled, axis=1)
    ratios = sides.max(axis=1) / sides.min(axis=1)
    assert 0.75 * bound**2 < ratios.max() <= bound**2 * (1 + 1e-6)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_jitter_has_the_published_standard_deviation(severity):
    noise = corrupt(CLOUDS, "jitter", severity, "test") - CLOUDS
    assert noise.std() == pytest.approx(severity / 100, rel=0.02)
    assert abs(noise.mean()) < severity / 100 / 20


@pytest.mark.parametrize("severity", SEVERITIES)
def test_rotations_are_rotations_within_the_published_angle(severity):
    basis = np.broadcast_to(np.eye(3, dtype=np.float32), (3000, 3, 3))
    turned = corrupt(basis, "rotate", severity, "test")
    np.testing.assert_allclose(turned @ turned.transpose(0, 2, 1), basis, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(turned), 1, atol=1e-5)
    # Rows are the images of the axes: turned[:, 2, 0] = -sin(angle about y), met second of three.
    largest = np.deg2rad(6 * severity)
    tilts = np.abs(np.arcsin(turned[:, 2, 0]))
    assert 0.97 * largest < tilts.max() <= largest + 1e-6
    # Uniform: a mean of half the bound.
    assert tilts.mean() == pytest.approx(largest / 2, rel=0.05)


def test_rotations_turn_about_z_then_y_then_x_as_the_published_suites_do():
    """Its points are rows, multiplied from the right by R_z R_y R_x of angles for x, y and z."""
    angles = keyed_numpy_generator("test", "rotate", 5, 0).uniform(-np.pi / 6, np.pi / 6, 3)
    about_x, about_y, about_z = (
        Rotation.from_euler(axis, angle).as_matrix()
        for axis, angle in zip("xyz", angles, strict=True)
    )
    expected = CLOUDS[0] @ (about_z @ about_y @ about_x)
    found = corrupt(CLOUDS[:1], "rotate", 5, "test")[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["drop_global", "drop_local"])
def test_what_is_left_are_points_of_the_cloud_each_once(name):
    kept = corrupt(CLOUDS, name, 4, "test")
    for before, after in zip(CLOUDS, kept, strict=True):
        rows = {tuple(point) for point in before}
        assert len({tuple(point) for point in after}) == len(after)
        assert all(tuple(point) in rows for point in after)


def test_local_drops_make_holes_and_global_ones_do_not():
    """By how near the points left out, about as many of either, lie to each other."""

    def spread_of_dropped(name, severity):
        kept = corrupt(CLOUDS, name, severity, "test")
        dropped = [
            np.array([point for point in before if tuple(point) not in rest])
            for before, rest in (
                (before, {tuple(point) for point in after})
                for before, after in zip(CLOUDS, kept, strict=True)
            )
        ]
        return np.mean([_mean_nearest(points) for points in dropped])

    assert spread_of_dropped("drop_local", 2) < 0.9 * spread_of_dropped("drop_global", 1)


def _mean_nearest(points):
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1).mean()


@pytest.mark.parametrize("name", ["add_global", "add_local"])
def test_additions_keep_the_cloud_and_stay_in_the_unit_ball(name):
    corrupted = corrupt(CLOUDS, name, 5, "test")
    np.testing.assert_array_equal(corrupted[:, :1024], CLOUDS)
    assert np.linalg.norm(corrupted[:, 1024:], axis=2).max() <= 1 + 1e-6


def test_global_additions_fill_the_ball_evenly():
    added = corrupt(np.repeat(CLOUDS[:1], 400, axis=0), "add_global", 5, "test")[:, 1024:]
    cubed_radii = np.linalg.norm(added, axis=2).ravel() ** 3  # uniform on [0, 1]
    assert cubed_radii.mean() == pytest.approx(0.5, abs=0.01)
    assert np.abs(added.mean(axis=(0, 1))).max() < 0.02


def test_local_additions_come_in_clusters_about_points_of_the_cloud():
    far = np.zeros((200, 1024, 3), np.float32)
    far[:, ::2, 0], far[:, 1::2, 0] = 0.5, -0.5
    added = corrupt(far, "add_local", 5, "test")[:, 1024:]
    offsets = np.abs(added[..., 0]) - 0.5
    spreads = added[..., 1].std(axis=1)
    assert 0.07 < spreads.min() < 0.09
    assert 0.11 < spreads.max() < 0.13
    assert abs(offsets.mean()) < 0.01
