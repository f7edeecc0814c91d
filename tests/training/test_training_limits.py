"""What training refuses before its first step, and what its exports say of their data."""

import json
from contextlib import nullcontext

import pytest

from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.errors import UserError
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import load_splits
from pc_crvae.training.limits import require_trainable

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


@pytest.mark.parametrize(
    ("consistency", "is_refused"),
    [
        ({"form": "contrast", "score": "projector", "projector_widths": [8, 4]}, True),
        ({"form": "contrast", "score": "projector", "projector_widths": [4]}, False),
        ({"form": "contrast", "score": "kl"}, False),
        ({"form": "kl"}, False),
    ],
)
def test_a_projector_with_batch_norm_needs_two_rows_a_process(tmp_path, consistency, is_refused):
    config = tiny_config(
        tmp_path,
        model={"head": {"normalize_features": False}},
        consistency=consistency,
        training={"batch_size": 2, "synchronize_batch_norm": False},
    )
    splits = load_splits(config)
    refusal = pytest.raises(UserError, match="the projector's batch-norm needs two items")
    with refusal if is_refused else nullcontext():
        require_trainable(config, *splits, part_size=1)
