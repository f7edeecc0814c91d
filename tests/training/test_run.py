"""A whole run in one call: data, training, callbacks, and what is refused before any of it."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import yaml

from helpers.tiny_hdf5 import write_hdf5
from helpers.tiny_runs import Killed, acting_after, die, read_metrics, tiny_config
from pc_crvae.errors import UserError
from pc_crvae.runs.folder import Run, RunExistsError
from pc_crvae.runs.saved import load_splits
from pc_crvae.training.callbacks import Callbacks
from pc_crvae.training.run import run_training


def test_a_run_is_probed_and_pictured_as_its_config_says(tmp_path):
    logging = {"probe_every_epochs": 1, "pictures_every_epochs": 2}
    config = tiny_config(tmp_path, logging=logging)
    trained = run_training(config, tmp_path / "run")
    assert trained.run.folder == tmp_path / "run"
    assert trained.train_set.fingerprint() == load_splits(config)[0].fingerprint()
    assert trained.model.data["train_sha256"] == trained.train_set.fingerprint()
    lines = [line for line in read_metrics(tmp_path / "run") if line["split"] == "validation"]
    assert all(0 <= line["probe_accuracy"] <= 1 for line in lines)
    assert [path.name for path in trained.run.pictures.iterdir()] == ["epoch-0002.png"]


def test_what_is_there_is_refused_before_any_data_is_loaded(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    config = tiny_config(tmp_path, data={"name": "modelnet10", "root": "nowhere"})
    with pytest.raises(RunExistsError, match="already exists: resume it, overwrite it") as refused:
        run_training(config, tmp_path / "run")
    assert "--" not in str(refused.value)
    with pytest.raises(UserError, match="give one"):
        run_training(config, tmp_path / "run", resume=True, overwrite=True)


@pytest.fixture
def live(tmp_path):
    """A run that another process, so it seems, writes to, after a first state."""
    config = tiny_config(tmp_path)
    with acting_after(7, die), pytest.raises(Killed):
        run_training(config, tmp_path / "run")
    run = Run(tmp_path / "run")
    with run.writing():
        yield config, run


@pytest.mark.parametrize("how", ["resume", "overwrite"])
def test_a_live_run_is_left_alone_whatever_is_asked(live, how, monkeypatch):
    config, run = live
    half = run.checkpoints / ".step-00000010-0a1b2c3d"
    half.mkdir()
    files = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    monkeypatch.setattr("pc_crvae.training.run.load_splits", None)  # told before data is loaded
    with pytest.raises(
        UserError, match=rf"another process writes to .* \(process {os.getpid()} on"
    ):
        run_training(config, run.folder, **{how: True})
    assert half.exists()
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == files


def test_a_run_that_could_not_start_leaves_nothing(tmp_path):
    config = tiny_config(tmp_path, data={"name": "modelnet10", "root": "nowhere"})
    with pytest.raises(UserError, match="nowhere"):
        run_training(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("step", [3, 9], ids=["before a save", "in the last epoch"])
def test_a_folder_that_is_removed_during_training_is_an_error(tmp_path, step):
    config = tiny_config(tmp_path, logging={"probe_every_epochs": 1, "pictures_every_epochs": 1})
    removed = tmp_path / "run"
    with (
        acting_after(step, lambda: shutil.rmtree(removed)),
        pytest.raises(UserError, match="was removed or moved while training wrote to it"),
    ):
        run_training(config, removed)
    assert not removed.exists()


def test_a_record_that_is_removed_during_training_is_an_error(tmp_path):
    config = tiny_config(tmp_path)
    metrics = Run(tmp_path / "run").metrics
    with (
        acting_after(3, metrics.unlink),
        pytest.raises(UserError, match=r"metrics.jsonl was removed or replaced while"),
    ):
        run_training(config, tmp_path / "run")


def test_the_folder_of_the_data_is_recorded_in_full(tmp_path, monkeypatch):
    write_hdf5(tmp_path / "mine")
    data = {"name": "modelnet10", "points": 16, "validation_fraction": 0.4, "root": "mine"}
    config = tiny_config(tmp_path, data=data, training={"epochs": 1, "batch_size": 2})
    monkeypatch.chdir(tmp_path)
    trained = run_training(config, tmp_path / "run")
    recorded = yaml.safe_load(trained.run.config.read_text())
    assert recorded["data"]["root"] == str(tmp_path / "mine")


@pytest.mark.parametrize(
    ("labels", "lacks"),
    [(lambda labels: None, "no labels"), (np.zeros_like, "a single class")],
)
def test_without_classes_there_is_no_probe_and_a_note_says_so(tmp_path, labels, lacks):
    config = tiny_config(tmp_path, logging={"probe_every_epochs": 1})
    sets = [replace(clouds, labels=labels(clouds.labels)) for clouds in load_splits(config)]
    callbacks = Callbacks.of_run(config, None, *sets)
    assert callbacks.probe is None
    assert callbacks.note == f"tiny has {lacks}: training goes on without the validation probe"
    unasked = tiny_config(tmp_path, logging={"probe_every_epochs": 0})
    assert Callbacks.of_run(unasked, None, *sets).note is None
