"""Precision and threads are chosen once, recorded in the run, and kept when it is resumed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers.tiny_runs import (
    Killed,
    acting_after,
    assert_same_run,
    die,
    tiny_config,
    tiny_train,
)
from pc_crvae.config import load_config, parse_config, plain, settled_as
from pc_crvae.errors import UserError
from pc_crvae.study.plan import same_run
from pc_crvae.training import settling
from pc_crvae.training.half_precision import bfloat16_slowdown

WORKER = Path(__file__).parents[1] / "helpers" / "settling_worker.py"
EVERY_STEP = {"every_minutes": 1e-9}


@pytest.fixture
def slowdown(monkeypatch):
    """Sets what the processor answers."""

    def answer(value):
        monkeypatch.setattr(settling, "bfloat16_slowdown", lambda device: value)

    return answer


def recorded(folder):
    return load_config(folder / "config.yaml").training


def kill_in_the_first_epoch(config, folder):
    with pytest.raises(Killed), acting_after(3, die):
        tiny_train(config, folder)


@pytest.mark.parametrize(
    ("answer", "taken"), [(0.1, "bfloat16"), (0.83, "bfloat16"), (0.84, "float32"), (48, "float32")]
)
def test_auto_takes_bfloat16_where_it_pays_by_a_fifth(tmp_path, slowdown, capsys, answer, taken):
    slowdown(answer)
    tiny_train(
        tiny_config(tmp_path, training={"precision": "auto", "epochs": 1}), tmp_path / "auto"
    )
    assert recorded(tmp_path / "auto").precision == taken
    assert f"training.precision auto: {taken}" in capsys.readouterr().out
    tiny_train(tiny_config(tmp_path, training={"precision": taken, "epochs": 1}), tmp_path / "said")
    said, auto = (tmp_path / name / "model.safetensors" for name in ("said", "auto"))
    assert said.read_bytes() == auto.read_bytes()


@pytest.mark.parametrize("taken", ["bfloat16", "float32"])
def test_a_resumed_run_keeps_its_precision_where_the_processor_is_another(
    tmp_path, slowdown, taken
):
    config = tiny_config(tmp_path, training={"precision": "auto"}, checkpoints=EVERY_STEP)
    fast, slow = 0.1, 40.0
    slowdown(fast if taken == "bfloat16" else slow)
    tiny_train(config, tmp_path / "whole")
    kill_in_the_first_epoch(config, tmp_path / "run")
    slowdown(slow if taken == "bfloat16" else fast)
    tiny_train(config, tmp_path / "run", resume=True)
    assert recorded(tmp_path / "run").precision == taken
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_another_precision_than_the_run_took_is_refused(tmp_path, slowdown):
    slowdown(0.1)
    kill_in_the_first_epoch(
        tiny_config(tmp_path, training={"precision": "auto"}, checkpoints=EVERY_STEP),
        tmp_path / "run",
    )
    config = tiny_config(tmp_path, training={"precision": "float32"}, checkpoints=EVERY_STEP)
    with pytest.raises(UserError, match=r"training\.precision = bfloat16, not float32"):
        tiny_train(config, tmp_path / "run", resume=True)


@pytest.mark.parametrize(("answer", "told"), [(40.0, True), (0.3, False)])
def test_a_processor_that_is_slow_in_the_bfloat16_asked_for_is_told_of(
    tmp_path, slowdown, capsys, answer, told
):
    slowdown(answer)
    config = tiny_config(
        tmp_path, training={"precision": "bfloat16", "epochs": 1}, checkpoints=EVERY_STEP
    )
    kill_in_the_first_epoch(config, tmp_path / "run")
    said = capsys.readouterr().out
    advice = "in bfloat16 as in float32: training.precision=auto"
    assert (advice in said) is told
    assert ("multiplies 40 times as slowly" in said) is told
    tiny_train(config, tmp_path / "run", resume=True)
    said = capsys.readouterr().out
    assert ("keeps the precision that it was started with" in said) is told


def test_the_slowdown_of_bfloat16_is_measured():
    assert 0 < bfloat16_slowdown() < float("inf")


@pytest.fixture
def seen_threads(monkeypatch):
    """The numbers of threads that forward passes were computed with."""
    from pc_crvae.training.step import TrainingStep

    seen = []
    take = TrainingStep.take

    def counted(self, batches):
        seen.append(torch.get_num_threads())
        take(self, batches)

    monkeypatch.setattr(TrainingStep, "take", counted)
    return seen


def test_threads_are_recorded_and_those_of_the_process_put_back(tmp_path, seen_threads):
    before = torch.get_num_threads()
    config = tiny_config(tmp_path, training={"threads": before + 1, "epochs": 1})
    tiny_train(config, tmp_path / "run")
    assert set(seen_threads) == {before + 1}
    assert recorded(tmp_path / "run").threads == before + 1
    assert torch.get_num_threads() == before


def test_a_run_resumed_where_torch_would_take_others_has_as_many_threads_as_before(
    tmp_path, seen_threads, monkeypatch
):
    monkeypatch.setattr(settling, "_threads", lambda: 2)
    config = tiny_config(tmp_path, checkpoints=EVERY_STEP)
    kill_in_the_first_epoch(config, tmp_path / "run")
    monkeypatch.setattr(settling, "_threads", lambda: 1)
    tiny_train(config, tmp_path / "run", resume=True)
    assert set(seen_threads) == {2}


def test_other_threads_for_a_resumed_run_are_noted_and_recorded(tmp_path, seen_threads, capsys):
    def config(threads):
        return tiny_config(tmp_path, training={"threads": threads}, checkpoints=EVERY_STEP)

    kill_in_the_first_epoch(config(2), tmp_path / "run")
    capsys.readouterr()
    tiny_train(config(1), tmp_path / "run", resume=True)
    assert "had 2 threads and goes on with 1" in capsys.readouterr().out
    assert seen_threads[-1] == 1
    assert recorded(tmp_path / "run").threads == 1


def test_a_run_from_before_threads_were_recorded_goes_on(tmp_path, seen_threads):
    config = tiny_config(tmp_path, checkpoints=EVERY_STEP)
    kill_in_the_first_epoch(config, tmp_path / "run")
    path = tmp_path / "run" / "config.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "threads:" not in line))
    tiny_train(config, tmp_path / "run", resume=True)
    assert recorded(tmp_path / "run").threads == seen_threads[-1] == torch.get_num_threads()


def test_torch_that_was_loaded_before_the_environment_said_how_to_wait_is_told_of(
    tmp_path, monkeypatch, capsys
):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pc_crvae.training.settling.gnu_openmp_of_torch", lambda: None)
    note = "set OMP_WAIT_POLICY=PASSIVE in the environment before torch is imported"
    for threads, told in ((2, True), (1, False)):
        config = tiny_config(tmp_path, training={"threads": threads, "epochs": 1})
        tiny_train(config, tmp_path / f"{threads}")
        assert (note in capsys.readouterr().out) is told
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    tiny_train(config, tmp_path / "said")
    assert note not in capsys.readouterr().out
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setattr("pc_crvae.training.settling.gnu_openmp_of_torch", lambda: Path("libgomp"))
    config = tiny_config(tmp_path, training={"threads": 2, "epochs": 1})
    tiny_train(config, tmp_path / "chosen while it runs")
    assert note not in capsys.readouterr().out


def test_a_study_knows_its_runs_whatever_they_chose(tmp_path):
    planned = tiny_config(tmp_path, training={"precision": "auto"})
    taken = parse_config(
        plain(tiny_config(tmp_path, training={"precision": "bfloat16", "threads": 3})), "test"
    )
    assert same_run(taken, planned)
    assert settled_as(planned, taken) == taken
    assert not same_run(taken, tiny_config(tmp_path, training={"precision": "float32"}))
    assert not same_run(taken, tiny_config(tmp_path, training={"precision": "auto", "threads": 2}))


@pytest.mark.slow
def test_all_processes_take_what_the_main_one_chose(tmp_path):
    two_processes = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    subprocess.run(
        [sys.executable, *two_processes, str(WORKER), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=600,
    )
    settled = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert settled == [["bfloat16", 3], ["bfloat16", 3]]
