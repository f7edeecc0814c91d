"""What training refuses before its first step, and what its exports say of their data."""

import json

import pytest

from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.errors import UserError
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import load_splits

BATCH_NORMS = {
    "of the features": {"normalize_features": True},
    "of the hidden layers": {"normalize_features": False, "widths": [8], "batch_norm": True},
}


def head_config(folder, head, **options):
    model = {
        "encoder": {"name": "pointnet", "widths": [8, 16], "batch_norm": False},
        "head": head,
    }
    return tiny_config(folder, model=model, training={"epochs": 1, **options})


@pytest.mark.parametrize("head", BATCH_NORMS)
@pytest.mark.parametrize(("batch_size", "accumulation"), [(1, 1), (4, 4)])
def test_batch_norm_of_a_single_row_is_refused(tmp_path, head, batch_size, accumulation):
    sizes = {"batch_size": batch_size, "accumulation": accumulation}
    config = head_config(tmp_path, BATCH_NORMS[head], **sizes)
    with pytest.raises(UserError, match=r"batch-norm in model\.head needs two items .*raise it"):
        tiny_train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_single_row_without_batch_norm_trains(tmp_path):
    config = head_config(tmp_path, {"normalize_features": False}, batch_size=4, accumulation=4)
    tiny_train(config, tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_every_export_names_the_shapes_it_was_trained_and_chosen_on(tmp_path):
    config = tiny_config(tmp_path, training={"epochs": 1})
    tiny_train(config, tmp_path / "run")
    train_set, validation_set = load_splits(config)
    run = Run(tmp_path / "run")
    for folder in (run.folder, run.best, *run.states()):
        data = json.loads((folder / "config.json").read_text())["data"]
        assert data["name"] == config.data.name
        assert data["train_sha256"] == train_set.fingerprint()
        assert data["validation_sha256"] == validation_set.fingerprint()
