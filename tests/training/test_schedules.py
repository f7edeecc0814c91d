"""Schedules are functions of the step alone."""

import math
from types import SimpleNamespace

import pytest

from pc_crvae.training.schedules import Schedule, warmup_factor


def factors(total, warmup, schedule):
    """Learning rates of a run of epochs of a step each."""
    training = {
        "learning_rate": 1.0,
        "schedule": schedule,
        "warmup_epochs": warmup,
        "batch_size": 1,
        "steps": total,
    }
    whole = Schedule(SimpleNamespace(training=SimpleNamespace(**training)), items=1)
    return [whole.learning_rate(step) for step in range(total)]


def test_the_cosine_starts_at_one_and_falls_to_nearly_zero():
    values = factors(100, 0, "cosine")
    assert values[0] == 1
    assert values[50] == pytest.approx(0.5)
    assert values[25] == pytest.approx(0.5 * (1 + math.sqrt(0.5)))
    assert 0 < values[-1] < 1e-3
    assert values == sorted(values, reverse=True)


def test_the_learning_rate_rises_linearly_during_its_warm_up_and_never_starts_at_zero():
    values = factors(20, 4, "cosine")
    assert values[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert values[4:] == sorted(values[4:], reverse=True)


def test_a_constant_schedule_stays_at_one_after_its_warm_up():
    assert factors(6, 2, "constant") == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1])


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_a_warm_up_longer_than_the_run_only_rises(schedule):
    values = factors(5, 10, schedule)
    assert values == sorted(values)
    assert max(values) < 1


@pytest.mark.parametrize("total", [1, 2])
def test_the_shortest_runs_have_a_usable_learning_rate(total):
    assert all(0 < factor <= 1 for factor in factors(total, 0, "cosine"))


def test_a_weight_rises_linearly_from_zero_and_stays_at_one():
    assert [warmup_factor(step, 4) for step in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]


def test_without_a_warm_up_a_weight_is_whole_from_the_first_step():
    assert warmup_factor(0, 0) == 1


def test_a_warm_up_may_end_between_two_steps():
    assert [warmup_factor(step, 1.5) for step in range(3)] == pytest.approx([0, 2 / 3, 1])
