"""The loop: what it learns from, what it writes, when it stops."""

import dataclasses
import errno
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from helpers.comparing_weights import assert_equal_weights, weights_of
from helpers.distributed_worker import WITHOUT_BATCH_NORM, gradient_descent
from helpers.tiny_runs import (
    STEPS_PER_EPOCH,
    acting_after,
    read_metrics,
    tiny_config,
    tiny_train,
    tiny_values,
)
from pc_crvae.config import TrainingConfig
from pc_crvae.data import CloudSet
from pc_crvae.errors import UserError
from pc_crvae.likelihoods import ChamferLikelihood
from pc_crvae.models.points import pointnet
from pc_crvae.models.points.pooled import maximum_over_points
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import load_splits
from pc_crvae.training import state, validation
from pc_crvae.training.build import build_model, build_optimizer, build_training_objective
from pc_crvae.training.callbacks import Callbacks
from pc_crvae.training.loop import train
from pc_crvae.training.schedules import Schedule
from pc_crvae.training.validation import evaluate

AFTER_EVERY_STEP = {"every_minutes": 1e-9, "keep": 100}


@pytest.mark.parametrize("parts", [2, 4])
def test_a_step_in_parts_is_the_step_in_one(tmp_path, monkeypatch, parts):
    monkeypatch.setattr(state, "build_optimizer", gradient_descent)
    # No clipping, which would hide a gradient that is too large as a whole.
    steady = {"epochs": 1, "learning_rate": 0.01, "clip_norm": None, "schedule": "constant"}
    model = WITHOUT_BATCH_NORM | {"likelihood": {"scale": 10.0}}
    for name, accumulation in {"one": 1, "parts": parts}.items():
        training_options = steady | {"accumulation": accumulation}
        config = tiny_config(tmp_path, model=model, training=training_options)
        tiny_train(config, tmp_path / name)
    torch.manual_seed(config.seed)
    start = build_model(config).state_dict()
    one, in_parts = weights_of(tmp_path / "one"), weights_of(tmp_path / "parts")
    for name, value in start.items():
        change = (one[name] - value).norm()
        assert change > 0
        assert (in_parts[name] - one[name]).norm() < 1e-4 * change, name


def test_the_exported_weights_are_the_running_average_asked_for(tmp_path):
    config = tiny_config(
        tmp_path,
        model=WITHOUT_BATCH_NORM,
        training={"epochs": 1, "ema_decay": 0.75},
        checkpoints=AFTER_EVERY_STEP,
    )
    tiny_train(config, tmp_path / "run")
    average = None
    for folder in Run(tmp_path / "run").states():
        objective = torch.load(folder / "state.pt", weights_only=True)["objective"]
        raw = {name.removeprefix("model."): value for name, value in objective.items()}
        average = average or raw
        average = {name: 0.75 * average[name] + 0.25 * raw[name] for name in raw}
        torch.testing.assert_close(load_file(folder / "model.safetensors"), average)
    assert not torch.equal(average["head.mean.weight"], raw["head.mean.weight"])


def test_only_weight_matrices_decay(tmp_path):
    torch.manual_seed(0)
    model = build_model(tiny_config(tmp_path))
    optimizer = build_optimizer(model, TrainingConfig(weight_decay=0.1))
    decaying = {
        id(parameter)
        for group in optimizer.param_groups
        if group["weight_decay"]
        for parameter in group["params"]
    }
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.0, 0.1}
    for name, parameter in model.named_parameters():
        assert (id(parameter) in decaying) == (name.endswith("weight") and parameter.ndim == 2)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(
        list(model.parameters())
    )


def test_the_learning_rate_follows_its_schedule(tmp_path):
    config = tiny_config(tmp_path, training={"warmup_epochs": 0.8}, logging={"every_steps": 1})
    tiny_train(config, tmp_path / "run")
    recorded = [
        line["learning_rate"] for line in read_metrics(tmp_path / "run") if line["split"] == "train"
    ]
    schedule = Schedule(config, items=5 * config.training.batch_size)
    assert recorded == [schedule.learning_rate(step) for step in range(10)]
    assert recorded[:4] == pytest.approx([share * max(recorded) for share in (0.2, 0.4, 0.6, 0.8)])
    assert recorded[4] == max(recorded) == config.training.learning_rate


def test_the_best_export_has_the_highest_validation_objective_and_the_last_is_the_last(
    tmp_path, monkeypatch
):
    objectives = iter([-5.0, -3.0, -4.0, -3.0])
    monkeypatch.setattr(
        validation, "evaluate", lambda *arguments: {"objective": next(objectives), "kl": 1.0}
    )
    config = tiny_config(tmp_path, training={"epochs": 4}, checkpoints={"keep": 9})
    tiny_train(config, tmp_path / "run")
    run = Run(tmp_path / "run")
    assert_equal_weights(weights_of(run.best), weights_of(run.states()[1]))
    assert_equal_weights(weights_of(run.folder), weights_of(run.states()[3]))
    assert (
        weights_of(run.best)["head.mean.weight"]
        .ne(weights_of(run.folder)["head.mean.weight"])
        .any()
    )


@pytest.mark.parametrize("poison", ["shuffled", "absent"])
def test_labels_change_neither_the_weights_nor_the_choice_of_the_best(tmp_path, poison):
    config = tiny_config(tmp_path)
    sets = load_splits(config)
    rng = np.random.default_rng(0)
    poisoned = [
        dataclasses.replace(
            clouds, labels=rng.permutation(clouds.labels) if poison == "shuffled" else None
        )
        for clouds in sets
    ]
    train(config, Run(tmp_path / "clean"), *sets, Callbacks())
    train(config, Run(tmp_path / "poisoned"), *poisoned, Callbacks())
    assert read_metrics(tmp_path / "clean") == read_metrics(tmp_path / "poisoned")
    for folder in ("", "checkpoints/best"):
        assert_equal_weights(
            weights_of(tmp_path / "clean" / folder), weights_of(tmp_path / "poisoned" / folder)
        )


def test_callbacks_do_not_change_the_training(tmp_path):
    def probe(model, sharing):
        return float(torch.rand(()) + np.random.random())  # the global generators

    def picture(model, epoch):
        model.sample(2, seed=epoch)
        return np.zeros((4, 4, 3), np.uint8)

    watched = {"probe_every_epochs": 1, "pictures_every_epochs": 1, "every_steps": 1}
    unwatched = tiny_train(tiny_config(tmp_path), tmp_path / "unwatched")
    watched = tiny_train(
        tiny_config(tmp_path, logging=watched),
        tmp_path / "watched",
        callbacks=Callbacks(probe, picture),
    )
    assert_equal_weights(unwatched.state_dict(), watched.state_dict())


def test_evaluation_weighs_shapes_alike_whatever_their_batch(tmp_path):
    results = []
    for batch_size in (20, 8):
        config = tiny_config(
            tmp_path,
            objective={"name": "autoencoder"},  # draws nothing
            consistency=None,
            training={"batch_size": batch_size},
        )
        torch.manual_seed(0)
        model = build_model(config)
        _, validation_set = load_splits(config)
        objective = build_training_objective(config, model)
        results.append(evaluate(config, model, objective, validation_set))
        assert model.training
    assert results[1] == pytest.approx(results[0], rel=1e-6)


@pytest.mark.parametrize("step", [0, 7])
def test_a_batch_that_cannot_be_made_stops_the_run_in_its_own_words(tmp_path, monkeypatch, step):
    batch, train_threads = CloudSet.batch, []

    def failing(self, indices, count, *key):
        if key[:1] == ("points",):
            if len(train_threads) == step:
                raise OSError("the disk is gone")
            train_threads.append(threading.current_thread())
        return batch(self, indices, count, *key)

    monkeypatch.setattr(CloudSet, "batch", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        tiny_train(tiny_config(tmp_path, checkpoints=AFTER_EVERY_STEP), tmp_path / "run")
    assert len(Run(tmp_path / "run").states()) == step
    assert threading.main_thread() not in train_threads
    assert not any(thread.is_alive() for thread in train_threads)


def test_states_are_kept_to_a_number_the_newest(tmp_path):
    config = tiny_config(tmp_path, checkpoints=AFTER_EVERY_STEP | {"keep": 3})
    tiny_train(config, tmp_path / "run")
    folders = sorted(path.name for path in Run(tmp_path / "run").checkpoints.iterdir())
    assert folders == ["best", "step-00000008", "step-00000009", "step-00000010"]


def test_metrics_and_events_hold_the_terms(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    callbacks = Callbacks(probe=lambda model, sharing: 0.25, picture=lambda model, epoch: image)
    config = tiny_config(
        tmp_path,
        logging={"tensorboard": True, "probe_every_epochs": 2, "pictures_every_epochs": 2},
    )
    tiny_train(config, tmp_path / "run", callbacks=callbacks)
    lines = read_metrics(tmp_path / "run")
    terms = {"objective", "log_likelihood", "kl", "consistency"}
    terms |= {"transformed/log_likelihood", "transformed/kl"}
    for line in lines:
        assert line.keys() >= {"split", "step", "epoch"} | terms
        if line["split"] == "validation":
            assert len(line["kl_per_dimension"]) == 4
            assert sum(line["kl_per_dimension"]) == pytest.approx(line["kl"])
            assert 0 <= line["active_units"] <= 4
        else:
            assert line.keys() >= {"learning_rate", "gradient_norm"}
    assert [line["step"] for line in lines if "probe_accuracy" in line] == [10]

    events = EventAccumulator(str(Run(tmp_path / "run").events)).Reload()
    for line in lines:
        for name in terms:
            scalars = {
                event.step: event.value for event in events.Scalars(f"{line['split']}/{name}")
            }
            assert scalars[line["step"]] == pytest.approx(line[name], rel=1e-6)
    tags = events.Tags()
    assert {"train/learning_rate", "train/items_per_second"} < set(tags["scalars"])
    assert {"validation/active_units", "validation/probe_accuracy"} < set(tags["scalars"])
    assert "validation/kl_per_dimension" in tags["histograms"]
    (picture,) = events.Images("reconstructions")
    assert (picture.step, picture.height, picture.width) == (10, 4, 6)


@pytest.mark.parametrize("file", ["state.pt", "model.safetensors"])
def test_a_full_disk_stops_the_run_and_what_was_saved_stays(tmp_path, monkeypatch, file):
    config = tiny_config(tmp_path, training={"epochs": 3})
    folder = tmp_path / "run"
    write_bytes = Path.write_bytes

    def fill_disk():
        def fail(path, data):
            if path.suffix == Path(file).suffix:
                write_bytes(path, bytes(data)[:10])
                raise OSError(errno.ENOSPC, "No space left on device")
            return write_bytes(path, data)

        monkeypatch.setattr(Path, "write_bytes", fail)

    with (
        acting_after(7, fill_disk),
        pytest.raises(UserError, match=r"could not write .*: No space left on device"),
    ):
        tiny_train(config, folder)
    assert [path.name for path in Run(folder).states()] == ["step-00000005"]
    assert not [path for path in folder.rglob(".*")]

    monkeypatch.undo()
    tiny_train(config, folder, resume=True)
    tiny_train(config, tmp_path / "whole")
    assert_equal_weights(weights_of(folder), weights_of(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"training": {"batch_size": 41}}, "40 items to train on, fewer than"),
        ({"data": {"points": 65}}, "lower data.points"),
    ],
)
def test_a_run_that_cannot_start_leaves_the_one_it_would_replace(tmp_path, sections, message):
    tiny_train(tiny_config(tmp_path, training={"epochs": 1}), tmp_path / "run")
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    sections = {name: tiny_values(tmp_path)[name] | changes for name, changes in sections.items()}
    with pytest.raises(UserError, match=message):
        tiny_train(tiny_config(tmp_path, **sections), tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_without_tensorboard_the_run_says_what_to_install_and_goes_on(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    config = tiny_config(tmp_path, logging={"tensorboard": True}, training={"epochs": 1})
    tiny_train(config, tmp_path / "run")
    assert "no events are written: pip install 'pc-crvae[log]'" in capsys.readouterr().out
    assert not Run(tmp_path / "run").events.exists()
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_too_few_shapes_for_validation_are_refused(tmp_path):
    config = tiny_config(tmp_path)
    train_set, validation_set = load_splits(config)
    with pytest.raises(UserError, match=r"1 items for validation.*data.validation_fraction"):
        train(config, Run(tmp_path / "run"), train_set, validation_set.subset([0]), Callbacks())


def test_bfloat16_encodes_in_bfloat16_and_keeps_weights_points_and_likelihood_in_float32(
    tmp_path, monkeypatch
):
    log_prob = ChamferLikelihood.log_prob
    encoded, scored = [], []

    def recorded_maximum(perceptron, features):
        encoded.append(features)
        return maximum_over_points(perceptron, features)

    def recorded_log_prob(self, x):
        scored.extend([self.mean, log_prob(self, x)])
        return scored[-1]

    monkeypatch.setattr(pointnet, "maximum_over_points", recorded_maximum)
    monkeypatch.setattr(ChamferLikelihood, "log_prob", recorded_log_prob)
    config = tiny_config(tmp_path, training={"precision": "bfloat16", "epochs": 1})
    model = tiny_train(config, tmp_path / "run")
    assert {value.dtype for value in encoded[: 2 * STEPS_PER_EPOCH]} == {torch.bfloat16}
    assert {value.dtype for value in scored} == {torch.float32}
    assert {value.dtype for value in model.parameters()} == {torch.float32}
