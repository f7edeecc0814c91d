"""A run that was stopped and resumed is, to the last bit, the run that was not."""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import yaml
from accelerate.state import AcceleratorState

from helpers.distributed_worker import CONTRAST
from helpers.fuzzing import flip_bits
from helpers.tiny_runs import (
    IMAGE_RUNS,
    Killed,
    acting_after,
    assert_same_run,
    die,
    flatten,
    read_metrics,
    read_state,
    tiny_config,
    tiny_train,
    tiny_values,
)
from pc_crvae.cli import main
from pc_crvae.data import load, split_validation
from pc_crvae.data.cache import damage, sealed_files
from pc_crvae.errors import UserError
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import load_splits
from pc_crvae.training import validation
from pc_crvae.training.callbacks import Callbacks
from pc_crvae.training.loop import train
from pc_crvae.utils.interruption import Interrupted

AFTER_EVERY_STEP = {"every_minutes": 1e-9}
AFTER_AN_EPOCH = {"every_minutes": None}

VARIANTS = {
    "plain": {},
    "ema": {"training": {"ema_decay": 0.9}},
    "accumulation": {"training": {"accumulation": 2}},
    "bfloat16": {"training": {"precision": "bfloat16"}},
    "warm-ups": {
        "objective": {"name": "elbo", "warmup_epochs": 3.0, "free_bits": 0.1},
        "consistency": {"warmup_epochs": 2.5, "target": "original"},
    },
    "autoencoder": {"objective": {"name": "autoencoder"}, "consistency": None},
    "contrast by a projector": CONTRAST,
    **IMAGE_RUNS,
}
COSTLY = {"IWAE", "NVAE"}
for score in ("kl", "projector"):
    contrasted = IMAGE_RUNS["NVAE"]["consistency"] | {"form": "contrast", "score": score}
    VARIANTS[f"NVAE by {score}"] = IMAGE_RUNS["NVAE"] | {"consistency": contrasted}
    COSTLY.add(f"NVAE by {score}")


def four_epochs(folder, variant=None, **sections):
    sections = (variant or {}) | sections
    training = {"epochs": 4} | sections.pop("training", {})
    return tiny_config(folder, training=training, **sections)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in COSTLY else []) for name in VARIANTS],
)
@pytest.mark.parametrize(
    ("checkpoints", "resumed_at"),
    [(AFTER_AN_EPOCH, 10), (AFTER_EVERY_STEP, 12)],
    ids=["an epoch's end", "the middle of an epoch"],
)
def test_a_run_resumed_from_any_state_equals_one_in_one_go(tmp_path, name, checkpoints, resumed_at):
    config = four_epochs(tmp_path, VARIANTS[name], checkpoints=checkpoints)
    tiny_train(config, tmp_path / "whole")
    with acting_after(13, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "resumed")
    assert Run(tmp_path / "resumed").load_state()["step"] == resumed_at

    tiny_train(config, tmp_path / "resumed", resume=True)

    assert_same_run(tmp_path / "whole", tmp_path / "resumed")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("ema", "model"),
        pytest.param("NVAE", "objective.model", marks=pytest.mark.slow),
    ],
)
def test_a_state_that_holds_the_average_of_the_model_alone_is_resumed(tmp_path, name, place):
    """As version 0.1 wrote them."""
    training = VARIANTS[name].get("training", {}) | {"ema_decay": 0.9}
    config = four_epochs(tmp_path, VARIANTS[name], training=training, checkpoints=AFTER_AN_EPOCH)
    tiny_train(config, tmp_path / "whole")
    with acting_after(13, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "resumed")
    path = Run(tmp_path / "resumed").states()[-1] / "state.pt"
    state = torch.load(path, weights_only=True)
    state["average"] = {
        key.replace(f"module.{place}.", "module."): value for key, value in state["average"].items()
    }
    assert "module.encoder" in str(list(state["average"]))
    torch.save(state, path)

    tiny_train(config, tmp_path / "resumed", resume=True)

    assert_same_run(tmp_path / "whole", tmp_path / "resumed")


def test_a_run_killed_by_the_system_within_an_epoch_resumes_to_the_same_bits(tmp_path):
    values = tiny_values(tmp_path, training={"epochs": 4, "ema_decay": 0.9})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    tiny_train(tiny_config(tmp_path, training={"epochs": 4, "ema_decay": 0.9}), tmp_path / "whole")
    kill_itself = (
        "import os, signal, sys\n"
        "from pc_crvae.cli import main\n"
        "from helpers.tiny_runs import acting_after\n"
        "with acting_after(13, lambda: os.kill(os.getpid(), signal.SIGKILL)):\n"
        "    main(['train', *sys.argv[1:]])"
    )
    arguments = [str(tmp_path / "config.yaml"), "--out", str(tmp_path / "killed")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    first = [sys.executable, "-c", kill_itself, *arguments]
    assert subprocess.run(first, env=environment, check=False).returncode == -signal.SIGKILL
    assert Run(tmp_path / "killed").load_state()["step"] == 10

    assert main(["train", *arguments, "--resume"]) == 0

    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def test_lines_recorded_after_the_state_resumed_from_are_cut_off(tmp_path):
    config = four_epochs(tmp_path, checkpoints=AFTER_AN_EPOCH)
    with acting_after(13, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "run")
    steps = [line["step"] for line in read_metrics(tmp_path / "run")]
    assert steps == [3, 5, 6, 9, 10, 12]  # every third step and the ends of epochs

    with acting_after(11, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "run", resume=True)

    assert [line["step"] for line in read_metrics(tmp_path / "run")] == [3, 5, 6, 9, 10]


def test_the_best_before_a_stop_stays_the_best_after_it(tmp_path, monkeypatch):
    objectives = iter([-5.0, -1.0, -4.0, -3.0])
    monkeypatch.setattr(validation, "evaluate", lambda *arguments: {"objective": next(objectives)})
    config = four_epochs(tmp_path)
    with acting_after(13, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "run")
    run = Run(tmp_path / "run")
    best = (run.best / "model.safetensors").read_bytes()
    tiny_train(config, tmp_path / "run", resume=True)
    assert (run.best / "model.safetensors").read_bytes() == best


def test_resuming_a_finished_run_says_so_and_changes_nothing(tmp_path, capsys):
    config = tiny_config(tmp_path, logging={"tensorboard": True})
    trained = tiny_train(config, tmp_path / "run")
    files = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    capsys.readouterr()

    returned = tiny_train(config, tmp_path / "run", resume=True)

    assert "trained already: all its 10 steps are done" in capsys.readouterr().out
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert after == files
    for name, weights in trained.state_dict().items():
        assert torch.equal(returned.state_dict()[name], weights), name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step_with_the_state_saved(tmp_path, number):
    config = tiny_config(tmp_path, checkpoints=AFTER_AN_EPOCH)
    handler = signal.getsignal(number)
    with (
        acting_after(7, lambda: signal.raise_signal(number)),
        pytest.raises(Interrupted, match=r"after step 7 of 10.*can be resumed") as stopped,
    ):
        tiny_train(config, tmp_path / "stopped")
    assert stopped.value.signal_number == number
    assert signal.getsignal(number) is handler
    assert Run(tmp_path / "stopped").load_state()["step"] == 7

    tiny_train(config, tmp_path / "whole")
    tiny_train(config, tmp_path / "stopped", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "stopped")


@pytest.fixture
def heeded_interrupts():
    """SIGINT as Python takes it, which a shell's background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_signal_acts_at_once(tmp_path, heeded_interrupts):
    def interrupt_twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with acting_after(7, interrupt_twice), pytest.raises(KeyboardInterrupt):
        tiny_train(tiny_config(tmp_path), tmp_path / "run")
    assert Run(tmp_path / "run").load_state()["step"] == 5


@pytest.fixture
def half_run(tmp_path):
    """A run stopped after step 7, with states after each step."""
    config = tiny_config(tmp_path, checkpoints=AFTER_EVERY_STEP)
    with acting_after(8, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"training": {"learning_rate": 0.5}}, "training.learning_rate = 0.001, not 0.5"),
        ({"training": {"epochs": 9}}, "training.epochs = 2, not 9"),
        ({"model": {"latent_dim": 5}}, "model.latent_dim = 4, not 5"),
        ({"consistency": None}, "consistency."),
    ],
)
def test_a_resumed_run_keeps_its_configuration(half_run, tmp_path, sections, key):
    changed = tiny_config(tmp_path, **sections)
    with pytest.raises(UserError, match=re.escape(f"started with {key}")):
        tiny_train(changed, half_run, resume=True)


def test_what_is_logged_and_saved_may_change(half_run, tmp_path):
    changed = tiny_config(
        tmp_path, logging={"every_steps": 1}, checkpoints={"keep": 1, "every_epochs": 2}
    )
    tiny_train(changed, half_run, resume=True)
    assert [path.name for path in Run(half_run).states()] == ["step-00000010"]
    assert [line["step"] for line in read_metrics(half_run)] == [3, 5, 6, 8, 9, 10, 10]


def test_a_run_is_not_resumed_on_other_shapes(half_run, tmp_path):
    card = tmp_path / "tiny.yaml"
    card.write_text(card.read_text().replace("seed: 0", "seed: 7"))
    with pytest.raises(UserError, match="started on other data than tiny holds now"):
        tiny_train(tiny_config(tmp_path), half_run, resume=True)


def test_without_a_run_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(UserError, match="no run to resume"):
        tiny_train(tiny_config(tmp_path), tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_without_a_state_there_is_nothing_to_resume_from(tmp_path):
    config = tiny_config(tmp_path, checkpoints=AFTER_AN_EPOCH)
    with acting_after(3, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "run")
    with pytest.raises(UserError, match="holds no checkpoint yet"):
        tiny_train(config, tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    "damaged", [b"", b"not a state", None], ids=["empty", "overwritten", "cut short"]
)
def test_a_damaged_state_is_refused_and_the_one_before_it_serves(half_run, tmp_path, damaged):
    config = tiny_config(tmp_path)
    newest = Run(half_run).states()[-1]
    state = newest / "state.pt"
    state.write_bytes(state.read_bytes()[:-1000] if damaged is None else damaged)
    with pytest.raises(UserError, match=f"{state} is damaged .*: remove {newest} to go on"):
        tiny_train(config, half_run, resume=True)

    shutil.rmtree(newest)
    tiny_train(config, half_run, resume=True)
    tiny_train(config, tmp_path / "whole")
    assert_same_run(tmp_path / "whole", half_run)


def test_a_state_of_another_model_is_refused(half_run, tmp_path):
    other = tiny_config(tmp_path, model=tiny_values(tmp_path)["model"] | {"latent_dim": 5})
    tiny_train(other, tmp_path / "other")
    theirs = Run(tmp_path / "other").states()[-1] / "state.pt"
    shutil.copy(theirs, Run(half_run).states()[-1] / "state.pt")
    with pytest.raises(UserError, match="holds another model than"):
        tiny_train(tiny_config(tmp_path), half_run, resume=True)


def test_a_state_of_another_format_is_refused(half_run, tmp_path):
    path = Run(half_run).states()[-1] / "state.pt"
    torch.save(torch.load(path, weights_only=True) | {"format": 99}, path)
    with pytest.raises(UserError, match="is not a state of format 1"):
        tiny_train(tiny_config(tmp_path), half_run, resume=True)


@pytest.mark.parametrize("left", [0, 100, None], ids=["emptied", "cut short", "removed"])
def test_a_record_that_lost_lines_goes_on_with_a_gap_and_says_so(half_run, tmp_path, capsys, left):
    metrics = Run(half_run).metrics
    before = read_metrics(half_run)
    if left is None:
        metrics.unlink()
    else:
        metrics.write_bytes(metrics.read_bytes()[:left])
    capsys.readouterr()
    tiny_train(tiny_config(tmp_path), half_run, resume=True)
    assert f"note: {metrics} has lost lines from before the checkpoint" in capsys.readouterr().out
    tiny_train(tiny_config(tmp_path), tmp_path / "whole")
    after, whole = read_metrics(half_run), read_metrics(tmp_path / "whole")
    assert 0 < len(after) < len(whole)
    assert [line for line in after if line not in before] == [
        line for line in whole if line["step"] > 7
    ]
    shutil.copy(tmp_path / "whole" / "metrics.jsonl", metrics)
    assert_same_run(tmp_path / "whole", half_run)


def test_a_flipped_bit_of_a_state_is_refused_or_changes_nothing(half_run):
    run = Run(half_run)
    path = run.states()[-1] / "state.pt"
    expected = read_state(half_run)

    def check_same(state):
        found = flatten(state)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            same = torch.equal(found[name], value) if torch.is_tensor(value) else None
            assert same or found[name] == value, name

    refused = flip_bits(path, run.load_state, check_same, count=100)
    assert refused > 40


def test_a_run_is_not_resumed_with_another_validation_part(half_run, tmp_path):
    config = tiny_config(tmp_path)
    train_set, validation_set = load_splits(config)
    AcceleratorState._reset_state()
    other = replace(validation_set, points=validation_set.points[::-1])
    with pytest.raises(UserError, match="started on other data than tiny holds now"):
        train(config, Run(half_run), train_set, other, Callbacks(), resume=True)


def test_a_state_that_does_not_say_its_validation_part_is_resumed(half_run, tmp_path):
    """As version 0.1 wrote them."""
    path = Run(half_run).states()[-1] / "state.pt"
    state = torch.load(path, weights_only=True)
    del state["validation_set"]
    torch.save(state, path)
    tiny_train(tiny_config(tmp_path), half_run, resume=True)
    assert Run(half_run).load_state()["step"] == 10


def test_damage_to_prepared_data_is_told_apart_from_other_data(half_run, tmp_path, monkeypatch):
    config = tiny_config(tmp_path)
    points = damage.entry_of(load(config.data.name, "train")) / "points.npy"
    status = points.stat()
    content = bytearray(points.read_bytes())
    content[-5] ^= 64
    points.write_bytes(content)
    os.utime(points, ns=(status.st_atime_ns, status.st_mtime_ns))
    with monkeypatch.context() as patch:
        patch.setattr(sealed_files, "ALWAYS_VERIFIED", 0)  # as of a large array
        sets = split_validation(load(config.data.name, "train"), config.data.validation_fraction)
        AcceleratorState._reset_state()
        with pytest.raises(UserError, match=r"points.npy is not as .*prepares the data anew"):
            train(config, Run(half_run), *sets, Callbacks(), resume=True)
    tiny_train(config, half_run, resume=True)


def test_a_state_holds_plain_tensors_and_numbers_only(half_run):
    for name, value in read_state(half_run).items():
        plain = torch.is_tensor(value) or isinstance(value, (bool, int, float, str, type(None)))
        assert plain, f"{name} is a {type(value).__name__}"
