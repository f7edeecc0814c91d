"""Terms that stay on the device until they are read: here on a CPU that is read as seldom."""

import math

import pytest
import torch

from helpers.tiny_runs import acting_after, assert_same_run, tiny_config, tiny_train
from pc_crvae.errors import UserError
from pc_crvae.likelihoods.chamfer import ChamferLikelihood
from pc_crvae.runs.folder import Run
from pc_crvae.training import loop
from pc_crvae.training.state import TrainingState
from pc_crvae.training.unread import UnreadTerms, steps_between_readings

LOGGED_EVERY = 4
SELDOM = {"logging": {"every_steps": LOGGED_EVERY}}


@pytest.fixture
def read_seldom(monkeypatch):
    monkeypatch.setattr(loop, "steps_between_readings", lambda device, every_logged: every_logged)


@pytest.fixture
def states(monkeypatch):
    """The states of all runs of a test, as they are now."""
    made = []
    of = TrainingState.of

    def recorded(*arguments):
        made.append(of(*arguments))
        return made[-1]

    monkeypatch.setattr(TrainingState, "of", recorded)
    return made


def break_once(monkeypatch):
    """Make the next step's log-likelihood NaN, and those after it good again."""
    log_prob = ChamferLikelihood.log_prob
    calls = []

    def broken(self, x):
        calls.append(x)
        return log_prob(self, x) * (math.nan if len(calls) <= 2 else 1.0)  # of x and of t(x)

    monkeypatch.setattr(ChamferLikelihood, "log_prob", broken)


def weights(state):
    return {name: value.clone() for name, value in state.objective.named_parameters()}


def moments(state):
    return [
        value.clone()
        for of_parameter in state.optimizer.state.values()
        for value in of_parameter.values()
    ]


def test_a_cpu_is_read_at_every_step_and_a_card_where_it_is_logged():
    assert steps_between_readings(torch.device("cpu"), 20) == 1
    assert steps_between_readings(torch.device("cuda"), 20) == 20


@pytest.mark.parametrize("decay", [None, 0.5])
def test_a_run_that_is_read_seldom_is_the_same_run(tmp_path, monkeypatch, decay):
    config = tiny_config(tmp_path, **SELDOM, training={"ema_decay": decay})
    tiny_train(config, tmp_path / "often")
    monkeypatch.setattr(loop, "steps_between_readings", lambda device, every_logged: every_logged)
    tiny_train(config, tmp_path / "seldom")
    assert_same_run(tmp_path / "often", tmp_path / "seldom")


def test_no_step_is_taken_from_the_broken_one_on_and_the_reading_names_it(
    tmp_path, monkeypatch, read_seldom, states
):
    config = tiny_config(tmp_path, **SELDOM, training={"epochs": 3})
    seen = {}

    def look(step):
        seen[step] = (weights(states[0]), moments(states[0]))
        if step == 6:
            break_once(monkeypatch)

    with (
        acting_after(6, lambda: look(6)),
        acting_after(7, lambda: look(7)),
        acting_after(8, lambda: look(8)),
        pytest.raises(UserError, match=r"the term log_likelihood became nan at step 7, .*00005"),
    ):
        tiny_train(config, tmp_path / "run")
    assert sorted(seen) == [6, 7, 8]  # step 8, where the terms are read, was computed too
    torch.testing.assert_close(seen[7], seen[6], rtol=0, atol=0)
    torch.testing.assert_close(seen[8], seen[6], rtol=0, atol=0)
    assert [path.name for path in Run(tmp_path / "run").states()] == ["step-00000005"]


@pytest.mark.parametrize("broken", [7, 9])
def test_no_state_is_saved_after_a_broken_step(tmp_path, monkeypatch, read_seldom, broken):
    after_every_step = {"checkpoints": {"every_minutes": 1e-9, "keep": 20}}
    config = tiny_config(tmp_path, **SELDOM, **after_every_step)
    with (
        acting_after(broken - 1, lambda: break_once(monkeypatch)),
        pytest.raises(UserError, match=f"became nan at step {broken}"),
    ):
        tiny_train(config, tmp_path / "run")
    saved = [int(path.name.rpartition("-")[2]) for path in Run(tmp_path / "run").states()]
    assert saved == list(range(1, broken))


def test_terms_that_are_only_reported_break_nothing():
    means = {"objective": torch.tensor(1.0), "consistency": torch.tensor(math.inf)}
    for weight, broken in ((0.0, 0.0), (1.0, 1.0)):
        unread = UnreadTerms(torch.device("cpu"))
        unread.add(3, weight, means)
        assert float(unread.broken) == broken
        assert list(unread.read()) == [(3, weight, {"objective": 1.0, "consistency": math.inf})]
        assert list(unread.read()) == []
