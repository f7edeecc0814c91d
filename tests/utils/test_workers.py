"""Work in processes that may be killed: order, few ahead, and tasks that end or hold a worker."""

import os
import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.patience import give_up_on
from pc_crvae.errors import MissingPackageError
from pc_crvae.utils.workers import Lost, answers, pack, unpack

TESTS = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _found_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def prepare_doubling(setup: Any) -> Any:
    """Double a number; what is told in ``setup`` ends the worker, holds it, or is an error."""

    def answer(task: int) -> Any:
        match setup.get(str(task)):
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(600)
            case "slow":
                time.sleep(0.3)
            case "fail":
                raise ValueError("an error of the code")
            case "refuse":
                raise MissingPackageError(f"{task} needs a package")
        return {"doubled": 2 * task}, {}

    return answer


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The function under a name that a worker can import."""
    from utils import test_workers

    return test_workers.prepare_doubling


def twice(number: int) -> Any:
    return {"doubled": 2 * number}, {}


def doubled(prepare: Any, setup: dict[str, str], count: int, **how: Any) -> dict[int, Any]:
    return dict(answers(prepare, setup, list(range(count)), 2, **how))


def test_answers_come_in_the_order_of_the_tasks(prepare):
    found = list(answers(prepare, {"0": "slow"}, list(range(20)), 2))
    assert found == [(k, twice(k)) for k in range(20)]


def test_answers_come_as_they_are_ready_where_that_is_asked(prepare):
    found = list(answers(prepare, {"0": "slow"}, list(range(5)), 2, ordered=False))
    assert sorted(found, key=lambda each: each[0]) == [(k, twice(k)) for k in range(5)]


def test_a_task_that_ends_its_worker_costs_itself_alone(prepare):
    found = doubled(prepare, {"3": "kill"}, 6)
    assert found[3] == Lost("SIGKILL")
    assert [found[k] for k in (0, 1, 2, 4, 5)] == [twice(k) for k in (0, 1, 2, 4, 5)]


def test_a_task_that_takes_too_long_costs_itself_alone(prepare, monkeypatch):
    give_up_on(1, monkeypatch, most_seconds=2)
    found = doubled(prepare, {"1": "hang"}, 4)
    assert found[1] == Lost(None, 2)
    assert "took more than the 2 seconds" in found[1].why("a.stl")
    assert [found[k] for k in (0, 2, 3)] == [twice(k) for k in (0, 2, 3)]


def test_every_task_has_the_time_that_the_caller_gives(prepare):
    assert doubled(prepare, {"0": "hang"}, 1, most_seconds=0.1) == {0: Lost(None, 0.1)}


def test_a_refusal_comes_back_as_it_was_raised(prepare):
    found = doubled(prepare, {"1": "refuse"}, 3)
    assert isinstance(found[1], MissingPackageError)
    assert str(found[1]) == "1 needs a package"
    assert [found[k] for k in (0, 2)] == [twice(k) for k in (0, 2)]


def test_an_error_of_the_code_is_told(prepare, capfd):
    with pytest.raises(RuntimeError, match="failed at 1"):
        doubled(prepare, {"1": "fail"}, 3)
    assert "an error of the code" in capfd.readouterr().err


class Counted(list):
    """Tasks that say how many were taken."""

    taken = 0

    def __iter__(self):
        for value in super().__iter__():
            self.taken += 1
            yield value


def test_no_more_than_a_few_answers_wait(prepare):
    tasks = Counted(range(1000))
    with closing(answers(prepare, {}, tasks, 2)) as found:
        assert next(found) == (0, twice(0))
        time.sleep(1)
        assert tasks.taken < 30


def test_arrays_and_values_come_back_as_they_were():
    values = {"a": 1.1, "b": ["é", None]}
    arrays = {"x": np.arange(6.0).reshape(2, 3), "y": np.empty((0, 3), np.float32)}
    again, back = unpack(pack(values, arrays))
    assert again == values
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert np.array_equal(back[name], array)
