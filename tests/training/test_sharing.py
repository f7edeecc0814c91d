"""What processes share beside the steps, tried on shares that one process holds one by one."""

from dataclasses import dataclass
from itertools import chain

import pytest
import torch

from helpers.tiny_runs import tiny_config
from pc_crvae.config import TrainingConfig
from pc_crvae.latents.statistics import ActiveUnits
from pc_crvae.runs.saved import load_splits
from pc_crvae.training import distributed
from pc_crvae.training.build import build_model, build_training_objective
from pc_crvae.training.callbacks import ValidationProbe
from pc_crvae.training.distributed import Processes, Sharing
from pc_crvae.training.validation import evaluate

CONTRAST = {"form": "contrast", "temperature": 5.0}


@dataclass(frozen=True, kw_only=True)
class Recorded(Sharing):
    """A process that keeps what it would send; the main one is given what the others sent.

    Attributes:
        sent: what all processes sent so far, the main one last of all.
        gathers: how often each process sends something.
    """

    sent: list[torch.Tensor]
    gathers: int

    def gather(self, values):
        """As `Sharing.gather`, after all others have sent theirs."""
        others = self.sent[len(self.sent) % self.gathers :: self.gathers]
        self.sent.append(values)
        return [values, *reversed(others)] if self.is_main else []


def shared(count, work, gathers=1):
    """What ``work`` gives in the main process, which comes last, after all others' shares."""
    sent = []
    for index in reversed(range(count)):
        found = work(Recorded(index=index, count=count, sent=sent, gathers=gathers))
    return found


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_shares_are_all_items_once_and_even(count):
    for items in (0, 1, 5, 12, 100):
        everything = list(range(items))
        shares = [everything[Sharing(index=i, count=count).share(items)] for i in range(count)]
        assert list(chain.from_iterable(shares)) == everything
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        assert len(shares[0]) == max(map(len, shares))


@pytest.mark.parametrize("consistency", [{}, CONTRAST], ids=["KL", "contrast"])
@pytest.mark.parametrize(("count", "batch_size"), [(2, 8), (3, 8), (2, 16), (5, 32)])
def test_shared_evaluation_is_that_of_one_process(tmp_path, consistency, count, batch_size):
    config = tiny_config(tmp_path, consistency=consistency, training={"batch_size": batch_size})
    torch.manual_seed(0)
    model = build_model(config)
    objective = build_training_objective(config, model)
    _, items = load_splits(config)
    alone = evaluate(config, model, objective, items)
    together = shared(count, lambda sharing: evaluate(config, model, objective, items, sharing))
    assert together.keys() == alone.keys()
    for name, value in alone.items():
        assert together[name] == pytest.approx(value, rel=1e-5, abs=1e-7), name


def test_contrast_compares_whole_batches_however_many_processes_share_them(tmp_path, monkeypatch):
    config = tiny_config(tmp_path, consistency=CONTRAST)
    model = build_model(config)
    objective = build_training_objective(config, model)
    _, items = load_splits(config)
    sizes = []
    make = type(items).batch

    def recorded(*arguments):
        sizes.append(len(batch := make(*arguments)))
        return batch

    monkeypatch.setattr(type(items), "batch", recorded)
    shared(2, lambda sharing: evaluate(config, model, objective, items, sharing))
    assert sizes == [8] * (len(items) // 8)


def test_the_shared_probe_is_that_of_one_process(tmp_path):
    config = tiny_config(tmp_path)
    torch.manual_seed(0)
    model = build_model(config).eval()
    probe = ValidationProbe(config, *load_splits(config))
    assert shared(3, lambda sharing: probe(model, sharing), gathers=2) == probe(model)


def test_units_joined_from_parts_are_those_of_all():
    means = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1.0, 0.2, 0.09, 0.05]
    )
    whole, joined = ActiveUnits(), ActiveUnits()
    whole.add(means)
    for part in means.split([3, 20, 7]):
        units = ActiveUnits()
        units.add(part)
        joined.join(*units.moments)
    for ours, theirs in zip(joined.moments, whole.moments, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert joined.count() == whole.count()


def test_alone_a_process_gathers_its_own():
    values = torch.arange(3)
    assert Sharing().gather(values) == [values]
    assert Sharing().is_main


@pytest.mark.parametrize(
    ("device", "has_card", "on_cpu"),
    [("auto", False, True), ("auto", True, False), ("cpu", True, True)],
)
def test_processes_of_a_machine_without_a_card_join_on_its_cpu(
    monkeypatch, device, has_card, on_cpu
):
    given = {}

    class Accelerator:
        num_processes, process_index, device = 1, 0, torch.device("cpu")

        def __init__(self, **options):
            given.update(options)

    monkeypatch.setattr(distributed, "Accelerator", Accelerator)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: has_card)
    Processes.of(TrainingConfig(device=device))
    assert given["cpu"] == on_cpu
