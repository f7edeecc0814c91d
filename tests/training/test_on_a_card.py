"""Training on a CUDA card: ``make test-cuda`` runs these, and skips them where there is none."""

import json

import pytest
import torch

from helpers.tiny_runs import Killed, acting_after, die, tiny_config, tiny_train
from pc_crvae.geometry import chamfer_distance

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card"),
]

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
