"""Two processes train as one process does on the same global batch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from helpers.distributed_worker import (
    CASES,
    FAILING,
    INTERRUPTED,
    ORIGIN,
    PROBED,
    PROJECTING,
    STOPPED,
    train_cases,
    write_origin,
)
from helpers.tiny_runs import read_metrics, read_state, write_card
from helpers.trained_weights import relative_difference
from pc_crvae.runs.folder import Run
from pc_crvae.training import state

TWO_PROCESSES = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
WORKER = Path(__file__).parents[1] / "helpers" / "distributed_worker.py"
EQUAL = sorted(CASES.keys() - {"batch-norm of each process"})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of the cases trained by one process and by two."""
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    write_card(together)
    for folder in (alone, together):
        write_origin(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "build_optimizer", state.build_optimizer)  # put back after
        train_cases(alone)
    subprocess.run(
        [sys.executable, *TWO_PROCESSES, str(WORKER), str(together)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=600,
    )
    return alone, together


@pytest.mark.parametrize("case", EQUAL)
def test_two_processes_learn_the_weights_of_one(runs, case):
    alone, together = runs
    assert relative_difference(alone / case, together / case) < 1e-4


@pytest.mark.parametrize("case", EQUAL)
def test_two_processes_report_the_terms_of_one(runs, case):
    one, two = (read_metrics(folder / case) for folder in runs)
    assert len(one) == len(two) == 6  # five steps and the validation
    assert ("probe_accuracy" in one[-1]) == (case in PROBED)
    for ours, theirs in zip(one, two, strict=True):
        assert theirs.pop("split") == ours.pop("split")
        assert theirs == {name: pytest.approx(value, rel=1e-4) for name, value in ours.items()}


def test_two_processes_learn_the_objectives_own_weights_of_one(runs):
    name = "/objective/objective.projector.weight"
    ours, theirs = (read_state(folder / PROJECTING)[name] for folder in runs)
    torch.testing.assert_close(theirs, ours, rtol=1e-5, atol=1e-6)


def test_a_frozen_encoder_stays_what_it_was_in_both(runs):
    for folder in runs:
        origin, trained = (
            load_file(folder / name / "model.safetensors") for name in (ORIGIN, "a frozen encoder")
        )
        stayed = {name for name in origin if torch.equal(origin[name], trained[name])}
        assert stayed == {name for name in origin if name.startswith("encoder.")}


def test_the_comparison_tells_batch_norm_of_each_process_from_that_of_one(runs):
    alone, together = (folder / "batch-norm of each process" for folder in runs)
    assert relative_difference(alone, together) > 1e-2


def test_a_signal_to_one_process_stops_both_and_both_resume(runs):
    _, together = runs
    whole, stopped = together / "synchronised batch-norm", together / INTERRUPTED
    assert [path.name for path in Run(stopped).states()] == ["step-00000003", "step-00000005"]
    assert read_metrics(stopped) == read_metrics(whole)
    weights = [(folder / "model.safetensors").read_bytes() for folder in (whole, stopped)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("rank", [0, 1])
def test_no_thread_of_the_group_outlives_it(runs, rank):
    _, together = runs
    left = json.loads((together / f"threads-{rank}.json").read_text())
    assert left
    assert [name for name in left if "gloo" in name] == []


def test_a_failure_of_the_main_process_stops_both(tmp_path):
    write_card(tmp_path)
    together = subprocess.run(
        [sys.executable, *TWO_PROCESSES, str(WORKER), str(tmp_path), FAILING],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert together.returncode != 0
    assert "UserError: could not write the best state" in together.stderr
    assert "UserError: another process of this training failed" in together.stderr


@pytest.mark.slow
def test_a_process_that_stops_answering_ends_the_others_within_a_bound(tmp_path):
    write_card(tmp_path)
    together = subprocess.run(
        [sys.executable, *TWO_PROCESSES, str(WORKER), str(tmp_path), STOPPED],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert together.returncode != 0
    assert "UserError: another process of this training ended, or did not" in together.stderr
