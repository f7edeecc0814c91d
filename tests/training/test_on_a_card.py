"""Training on a CUDA card: ``make test-cuda`` runs these, and skips them where there is none."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers.distributed_worker import CASES_ON_CARDS, ON_CARDS
from helpers.tiny_runs import Killed, acting_after, die, tiny_config, tiny_train
from helpers.trained_weights import relative_difference
from pc_crvae.errors import UserError
from pc_crvae.geometry import chamfer_distance
from pc_crvae.likelihoods import ChamferLikelihood
from pc_crvae.runs.folder import Run

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card"),
]

WORKER = Path(__file__).parents[1] / "helpers" / "distributed_worker.py"
ON_THE_CPU = ("ACCELERATE_USE_CPU", "true")
"""The environment in which a run whose device is ``auto`` takes the CPU."""


def objectives(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line["objective"] for line in lines if line["split"] == "train"]


def config_of(folder, precision="float32", **sections):
    training = {"device": "auto", "precision": precision}
    return tiny_config(folder, training=training, **sections)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_on_the_card_follows_that_on_the_cpu(tmp_path, monkeypatch, precision):
    config = config_of(tmp_path, precision)
    tiny_train(config, tmp_path / "card")
    monkeypatch.setenv(*ON_THE_CPU)
    tiny_train(config, tmp_path / "cpu")
    ours, theirs = objectives(tmp_path / "card"), objectives(tmp_path / "cpu")
    # Points are drawn on the device, so noise differs; the curve does not.
    assert ours == pytest.approx(theirs, rel=0.5)


@pytest.mark.parametrize("first", ["cpu", "card"])
def test_a_checkpoint_of_one_device_goes_on_on_the_other(tmp_path, monkeypatch, first):
    config = config_of(tmp_path, checkpoints={"every_minutes": 1e-9})
    environments = {"cpu": lambda: monkeypatch.setenv(*ON_THE_CPU), "card": monkeypatch.undo}
    second = {"cpu": "card", "card": "cpu"}[first]
    environments[first]()
    with acting_after(6, die), pytest.raises(Killed):
        tiny_train(config, tmp_path / "run")
    environments[second]()
    model = tiny_train(config, tmp_path / "run", resume=True)
    assert all(weight.isfinite().all() for weight in model.parameters())
    assert len(objectives(tmp_path / "run")) == 3  # none twice, none missing


def test_the_gradient_of_the_chamfer_distance_is_that_of_the_cpu():
    x = torch.randn(3, 300, 3, generator=torch.Generator().manual_seed(0))
    y = torch.randn(3, 200, 3, generator=torch.Generator().manual_seed(1))
    gradients = []
    for device in ("cpu", "cuda"):
        leaves = [cloud.to(device).requires_grad_() for cloud in (x, y)]
        found = torch.autograd.grad(chamfer_distance(*leaves).sum(), leaves)
        gradients.append([gradient.cpu() for gradient in found])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=1e-7)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA cards")
def test_two_processes_on_nccl_learn_the_weights_of_one(tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for processes, folder in enumerate(folders, start=1):
        folder.mkdir()
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        subprocess.run(
            [sys.executable, *launch, str(WORKER), str(folder), ON_CARDS],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
            check=True,
            timeout=600,
        )
    for case in CASES_ON_CARDS:
        alone, together = (folder / case for folder in folders)
        assert relative_difference(alone, together) < 1e-3, case
        # A step waits for no reading, and the record is that of one process all the same.
        assert objectives(together) == pytest.approx(objectives(alone), rel=1e-4)


def test_a_term_that_is_not_finite_is_told_where_terms_are_read(tmp_path, monkeypatch):
    config = config_of(tmp_path, logging={"every_steps": 4})

    def break_likelihood():
        log_prob = ChamferLikelihood.log_prob
        monkeypatch.setattr(
            ChamferLikelihood, "log_prob", lambda self, x: log_prob(self, x) * float("nan")
        )

    with (
        acting_after(6, break_likelihood),
        pytest.raises(UserError, match="log_likelihood became nan at step 7"),
    ):
        tiny_train(config, tmp_path / "run")
    assert [path.name for path in Run(tmp_path / "run").states()] == ["step-00000005"]


def test_a_step_waits_for_nothing(tmp_path):
    config = config_of(tmp_path, logging={"every_steps": 20}, consistency={"weight": 1.0})
    watch = torch.cuda.set_sync_debug_mode
    with (  # the third and fourth step of an epoch of five, whose end is read
        acting_after(2, lambda: watch("error")),
        acting_after(4, lambda: watch("default")),
    ):
        try:
            tiny_train(config, tmp_path / "run")
        finally:
            watch("default")
