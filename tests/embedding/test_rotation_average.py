import numpy as np
import pytest

from pc_crvae.embedding.rotation_average import averaged, check_group, rotations_of
from pc_crvae.errors import UserError

CLOUDS = np.random.default_rng(0).normal(size=(5, 32, 3)).astype(np.float32)
WEIGHTS = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)


def first_points(clouds):
    return {"mean": clouds[:, 0].astype(np.float64)}


def maxima(clouds):
    """A small PointNet: what depends on how clouds face."""
    hidden = np.maximum(clouds @ WEIGHTS, 0)
    return {
        "mean": hidden.max(axis=1),
        "pooled": np.hstack([hidden.max(axis=1), hidden.mean(axis=1)]),
    }


@pytest.mark.parametrize(
    ("group", "order"), [("C1", 1), ("C12", 12), ("T", 12), ("O", 24), ("I", 60)]
)
def test_a_group_has_its_rotations_each_once(group, order):
    rotations = rotations_of(group)
    assert rotations.shape == (order, 3, 3)
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (order, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-12)
    far = np.abs(rotations[:, None] - rotations[None]).max(axis=(2, 3)) + 9 * np.eye(order)
    assert far.min() > 0.1
    products = (rotations[:, None] @ rotations[None]).reshape(-1, 9)
    nearest = np.abs(products[:, None] - rotations.reshape(1, -1, 9)).max(axis=2).min(axis=1)
    assert nearest.max() < 1e-12


def test_turns_about_the_vertical_keep_it():
    np.testing.assert_allclose(rotations_of("C8")[:, 2], np.tile([0, 0, 1], (8, 1)), atol=1e-15)


def test_the_mean_of_a_point_over_turns_is_its_place_on_the_axis():
    height = np.where([False, False, True], CLOUDS[:, 0], 0)
    found = averaged(first_points, "C4")(CLOUDS)["mean"]
    np.testing.assert_allclose(found, height, atol=1e-7)
    np.testing.assert_allclose(averaged(first_points, "O")(CLOUDS)["mean"], 0, atol=1e-7)
    np.testing.assert_array_equal(averaged(first_points, "C1")(CLOUDS)["mean"], CLOUDS[:, 0])


@pytest.mark.parametrize("group", ["C6", "T", "O", "I"])
def test_a_turn_of_the_group_changes_nothing_that_an_average_sees(group):
    average = averaged(maxima, group)
    turned = CLOUDS @ rotations_of(group)[-1].T.astype(np.float32)
    for key, features in average(CLOUDS).items():
        assert features.dtype == np.float32
        np.testing.assert_allclose(average(turned)[key], features, atol=1e-5)
        assert np.abs(maxima(turned)[key] - maxima(CLOUDS)[key]).max() > 0.1


def test_an_average_is_the_mean_of_the_turned_copies():
    expected = np.mean([maxima(CLOUDS @ r.T)["pooled"] for r in rotations_of("T")], axis=0)
    np.testing.assert_allclose(averaged(maxima, "T")(CLOUDS)["pooled"], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["C0", "c12", "C1000", "D4", "", "O "])
def test_other_names_are_refused(name):
    with pytest.raises(UserError, match=f"--average-over {name} is no group of rotations"):
        check_group(name, "--average-over")
    assert check_group("C999", "here") == "C999"
