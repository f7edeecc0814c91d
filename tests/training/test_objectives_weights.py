"""Weights that an objective owns are trained, averaged and resumed with the model's."""

import pytest
import torch
from safetensors.torch import load_file

from helpers.projecting import ProjectingELBO
from helpers.tiny_runs import (
    IMAGE_RUNS,
    Killed,
    acting_after,
    assert_same_run,
    die,
    read_metrics,
    read_state,
    tiny_config,
    tiny_train,
)
from pc_crvae.runs.folder import Run
from pc_crvae.training.build import OBJECTIVES, build_model, build_training_objective

EVERY_STEP = {"every_minutes": 1e-9, "keep": 100}
PROJECTOR = "objective.projector.weight"


@pytest.fixture(autouse=True)
def _projecting(monkeypatch):
    monkeypatch.setitem(OBJECTIVES, "elbo", ProjectingELBO)


@pytest.mark.parametrize("sections", [{}, IMAGE_RUNS["VAE of images"]], ids=["clouds", "binarised"])
def test_they_learn_and_are_no_part_of_the_export(tmp_path, sections):
    rate = sections.get("training", {}) | {"epochs": 6, "learning_rate": 0.02}
    config = tiny_config(tmp_path, **sections | {"training": rate}, logging={"every_steps": 1})
    tiny_train(config, tmp_path / "run")
    errors = [line["projection_error"] for line in read_metrics(tmp_path / "run")]
    assert errors[-1] < 0.5 * errors[0]
    exported = load_file(tmp_path / "run" / "model.safetensors")
    assert not any("projector" in name for name in exported)
    assert f"/objective/{PROJECTOR}" in read_state(tmp_path / "run")


@pytest.mark.parametrize("decay", [None, 0.75])
def test_a_run_resumed_with_them_is_the_run_in_one_go(tmp_path, decay):
    config = tiny_config(
        tmp_path, training={"ema_decay": decay}, checkpoints={"every_minutes": None}
    )
    tiny_train(config, tmp_path / "whole")
    with acting_after(7, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "resumed")
    tiny_train(config, tmp_path / "resumed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "resumed")


def test_the_average_follows_them(tmp_path):
    config = tiny_config(
        tmp_path, training={"epochs": 1, "ema_decay": 0.75}, checkpoints=EVERY_STEP
    )
    tiny_train(config, tmp_path / "run")
    expected = None
    for folder in Run(tmp_path / "run").states():
        state = torch.load(folder / "state.pt", weights_only=True)
        trained = state["objective"][PROJECTOR]
        expected = trained if expected is None else 0.75 * expected + 0.25 * trained
        torch.testing.assert_close(state["average"][f"module.{PROJECTOR}"], expected)


def test_they_come_after_the_model_s_parameters(tmp_path):
    """The optimiser's state names parameters by their place."""
    config = tiny_config(tmp_path)
    model = build_model(config)
    names = [name for name, _ in build_training_objective(config, model).named_parameters()]
    of_model = [f"model.{name}" for name, _ in model.named_parameters()]
    assert names[: len(of_model)] == of_model
    assert names[len(of_model) :] == [PROJECTOR, PROJECTOR.replace("weight", "bias")]
