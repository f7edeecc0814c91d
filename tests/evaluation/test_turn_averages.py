import numpy as np
import pytest
import torch
from test_encoders import model
from test_probe import clouds

from pc_crvae.evaluation.encoders import encoder_of, probe_model, untrained_like
from pc_crvae.evaluation.probe import probe_encoders
from pc_crvae.evaluation.protocol import LinearSVM, ProbeProtocol
from pc_crvae.evaluation.turn_averages import averaged, rotations_of
from pc_crvae.geometry.rotations import rotate

CLOUDS = np.random.default_rng(0).normal(size=(5, 32, 3)).astype(np.float32)


def first_points(clouds):
    return {"mean": clouds[:, 0].astype(np.float64)}


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
    single = encoder_of(model(name="pointnet", widths=[8, 16]))
    average = averaged(single, group)
    turn = torch.from_numpy(rotations_of(group)[-1]).expand(len(CLOUDS), 3, 3)
    turned = rotate(torch.from_numpy(CLOUDS), turn).numpy()
    for key, features in average(CLOUDS).items():
        assert features.dtype == np.float32
        np.testing.assert_allclose(average(turned)[key], features, atol=1e-5)
        assert np.abs(single(turned)[key] - single(CLOUDS)[key]).max() > 1e-2


def test_training_and_test_items_are_averaged_alike_trained_and_untrained():
    train, test = clouds("train"), clouds("test")
    point_model = model(name="pointnet", widths=[8, 16])
    protocol = ProbeProtocol(
        points=24, seeds=(0,), average_over="C4", classifier=LinearSVM(c=(1e-1,)), settings=("z",)
    )
    found = probe_model(point_model, train, test, protocol)

    def of(encoder):
        return averaged(encoder_of(encoder), "C4")

    expected = probe_encoders(
        of(point_model), lambda seed: of(untrained_like(point_model, seed)), train, test, protocol
    )
    assert found.report == expected.report
    single = probe_model(
        point_model, train, test, protocol.model_copy(update={"average_over": None})
    )
    assert found.report["rows"] != single.report["rows"]
    assert found.report["protocol"]["fitted_on"].endswith("turned by the group C4")
    assert single.report["protocol"]["fitted_on"] == "training shapes, unturned"
