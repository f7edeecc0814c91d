"""Training by contrast: what is trained, what is left alone, and what validation compares."""

import math
from dataclasses import fields

import pytest
import torch

from helpers.distributed_worker import CONTRAST
from helpers.tiny_runs import read_metrics, tiny_config, tiny_train
from pc_crvae.data import CloudSet, load, split_validation
from pc_crvae.errors import UserError
from pc_crvae.randomness.keys import keyed_numpy_generator
from pc_crvae.runs.saved import read_model
from pc_crvae.training.build import build_divergence, build_model, build_training_objective
from pc_crvae.training.validation import evaluate


def test_the_projector_learns_and_a_decoder_that_decodes_nothing_does_not(tmp_path):
    config = tiny_config(tmp_path, **CONTRAST, training={"epochs": 2})
    torch.manual_seed(config.seed)
    before = build_model(config).state_dict()
    model = tiny_train(config, tmp_path / "run")
    moved = {name for name, value in model.state_dict().items() if (value != before[name]).any()}
    assert not any(name.startswith("decoder.") for name in moved)
    assert any(name.startswith("encoder.") for name in moved)
    with pytest.raises(UserError, match="trained without decoding"):
        read_model(tmp_path / "run").sample(1)
    state = torch.load(
        sorted((tmp_path / "run" / "checkpoints").glob("step-*"))[-1] / "state.pt",
        weights_only=True,
    )
    assert any(name.startswith("divergence.projector.") for name in state["objective"])
    terms = read_metrics(tmp_path / "run")[-1]
    assert "log_likelihood" not in terms
    assert 0 <= terms["consistency"] < 0.1 * math.log(40) + 2


def test_contrast_learns_to_tell_shapes_from_one_another(tmp_path):
    contrast = {"form": "contrast", "temperature": 1.0, "weight": 1.0}
    objective = {"name": "elbo", "weight": 0.0, "beta": 1e-3}
    config = tiny_config(
        tmp_path,
        objective=objective,
        consistency=contrast,
        training={"epochs": 12, "learning_rate": 3e-3, "clip_norm": None},
    )
    tiny_train(config, tmp_path / "run")
    lines = [line for line in read_metrics(tmp_path / "run") if line["split"] == "validation"]
    chance = math.log(config.training.batch_size)
    assert lines[0]["consistency"] > lines[-1]["consistency"]
    assert lines[-1]["consistency"] < 0.9 * chance


@pytest.mark.parametrize("count", [20, 19, 8, 5])
def test_validation_compares_full_batches_only(tmp_path, count):
    config = tiny_config(tmp_path, **CONTRAST)
    train_set, _ = split_validation(load(config.data.name, "train"), 0.1)
    model = build_model(config)
    objective = build_training_objective(config, model)
    items = train_set.subset(range(count))
    size = min(config.training.batch_size, count)
    order = keyed_numpy_generator("validation order", config.seed).permutation(count)
    whole = train_set.subset(order[: count // size * size])
    seen: list[str] = []

    class Recording(CloudSet):
        def batch(self, indices, points, *key):
            seen.extend(self.ids[index] for index in indices)
            return super().batch(indices, points, *key)

    recording = Recording(**{field.name: getattr(items, field.name) for field in fields(items)})
    evaluate(config, model, objective, recording)
    assert seen == list(whole.ids)


def test_the_projector_takes_the_dimensions_that_are_compared(tmp_path):
    config = tiny_config(
        tmp_path,
        consistency={
            "form": "contrast",
            "score": "projector",
            "dimensions": [1, 3],
            "projector_widths": [4],
        },
    )
    divergence = build_divergence(config.consistency, build_model(config))
    assert [tuple(p.shape) for p in divergence.parameters()] == [(4, 2), (4,)]
    assert divergence.temperature == 0.1
