"""A run that commands are given."""

import shutil

import pytest

from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.visualization import pictures


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a card and a run of an epoch."""
    folder = tmp_path_factory.mktemp("trained")
    tiny_train(tiny_config(folder, training={"epochs": 1}), folder / "run")
    return folder


@pytest.fixture
def pictured(trained, tmp_path):
    """A copy of the run that a test may damage."""
    return shutil.copytree(trained / "run", tmp_path / "run")


@pytest.fixture
def run(pictured, monkeypatch):
    """The same, of which the confusion matrix is not drawn, which would take longest."""
    monkeypatch.setattr(
        pictures, "confusion_matrix", lambda matrix, classes, path, **_: path.touch()
    )
    return pictured
