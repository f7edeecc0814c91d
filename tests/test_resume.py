"""A run that was stopped and resumed is, to the last bit, the run that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from tiny_runs import acting_after, flatten, read_metrics, read_state, tiny_config, tiny_train
from tiny_runs import tiny_values

from pc_crvae.errors import UserError
from pc_crvae.interruption import Interrupted
from pc_crvae.runs import Run

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
}


class Killed(BaseException):
    """Stands for a death that nothing is done about."""


def die():
    raise Killed


def four_epochs(folder, variant=None, **sections):
    sections = (variant or {}) | sections
    training = {"epochs": 4} | sections.pop("training", {})
    return tiny_config(folder, training=training, **sections)


def assert_same_run(one, other):
    assert read_metrics(one) == read_metrics(other)
    state, other_state = read_state(one), read_state(other)
    # The record's size counts the digits of wall-clock fields too.
    assert state.keys() == other_state.keys() > {"/metrics_size"}
    for name in state.keys() - {"/metrics_size"}:
        value, other_value = state[name], other_state[name]
        if torch.is_tensor(value):
            assert value.dtype == other_value.dtype, name
            assert torch.equal(value, other_value), name
        else:
            assert value == other_value, name
    for path in ("model.safetensors", "config.json", "checkpoints/best/model.safetensors"):
        assert (one / path).read_bytes() == (other / path).read_bytes()


@pytest.mark.parametrize("name", VARIANTS)
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


def test_a_run_killed_by_the_system_within_an_epoch_resumes_to_the_same_bits(tmp_path):
    values = tiny_values(tmp_path, training={"epochs": 4, "ema_decay": 0.9})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    tiny_train(tiny_config(tmp_path, training={"epochs": 4, "ema_decay": 0.9}), tmp_path / "whole")
    kill_itself = (
        "import os, signal, sys; from tiny_runs import acting_after; from pc_crvae.cli import main\n"
        "with acting_after(13, lambda: os.kill(os.getpid(), signal.SIGKILL)):\n"
        "    main(['train', *sys.argv[1:]])"
    )
    arguments = [str(tmp_path / "config.yaml"), "--out", str(tmp_path / "killed")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    first = [sys.executable, "-c", kill_itself, *arguments]
    assert subprocess.run(first, env=environment, check=False).returncode == -signal.SIGKILL
    assert Run(tmp_path / "killed").load_state()["step"] == 10

    again = [sys.executable, "-m", "pc_crvae.cli", *arguments, "--resume"]
    again = [sys.executable, "-c", "from pc_crvae.cli import main; main()", "train", *arguments]
    subprocess.run([*again, "--resume"], env=environment, check=True)

    assert_same_run(tmp_path / "whole", tmp_path / "killed")
