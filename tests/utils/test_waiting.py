"""OpenMP's threads spin while a process has its cores, and sleep while others want them."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pc_crvae.utils import waiting
from pc_crvae.utils.threads import gnu_openmp_of_torch
from pc_crvae.utils.waiting import sharing_cores

SAID = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


class Crowd:
    """Stands in for idle threads; its shares are those of the looks that it was there at."""

    def __init__(self):
        self.is_there = False

    def gather(self):
        self.is_there = True
        return self

    def leave(self):
        self.is_there = False


class Looks:
    """Stands in for the event that ends a watch: over after so many looks, without a wait."""

    def __init__(self, count, crowd):
        self.left, self.crowd, self.seen = count, crowd, []

    def wait(self, _):
        self.seen.append(self.crowd.is_there)
        self.left -= 1
        return self.left < 0


def watched(monkeypatch, shares):
    """Whether the crowd was there before each look, of a thread that waits these shares of time."""
    clock, waited = iter(range(len(shares) + 1)), [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: float(next(clock)))
    for share in shares:
        waited.append(None if share is None else waited[-1] + share)
    so_far, crowd = iter(waited), Crowd()
    looks = Looks(len(shares), crowd)
    waiting._watch(lambda: next(so_far), crowd.gather, looks)
    assert not crowd.is_there  # none outlives the watch
    return looks.seen[1:]


def test_a_crowd_comes_while_the_thread_waits_for_a_core(monkeypatch):
    assert watched(monkeypatch, [0, 0.04, 0.3, 0.5]) == [False, False, True, True]


def test_a_crowd_leaves_only_after_a_while_alone(monkeypatch):
    calm = waiting._LOOKS_ALONE
    shares = [0.3, *[0.0] * (calm - 1), 0.02, *[0.0] * calm, 0.0]
    assert watched(monkeypatch, shares) == [*[True] * (2 * calm), False, False]


def test_where_nothing_tells_a_crowd_is_there_throughout(monkeypatch):
    monkeypatch.setattr(waiting.time, "monotonic", lambda: 0.0)
    crowd = Crowd()
    looks = Looks(3, crowd)
    waiting._watch(lambda: None, crowd.gather, looks)
    assert looks.seen[1:] == [True, True, True]


def test_a_file_that_does_not_say_is_told_from_no_waiting(tmp_path):
    file = tmp_path / "schedstat"
    assert waiting._waited(file) is None
    file.write_text("\n")
    assert waiting._waited(file) is None
    file.write_text("123 2500000000 7\n")
    assert waiting._waited(file) == 2.5


@pytest.fixture
def nothing_said(monkeypatch):
    """An environment that does not say how threads wait."""
    for name in SAID:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.skipif(gnu_openmp_of_torch() is None, reason="this torch brings no GNU OpenMP")
def test_a_crowd_is_real_threads_and_its_leaving_ends_them():
    def threads():
        return len(list(Path("/proc/self/task").iterdir()))

    before = threads()
    crowd = waiting._Crowd(gnu_openmp_of_torch())
    cores = len(os.sched_getaffinity(0))
    until(lambda: threads() >= before + cores + 1)  # the thread that made the team, and its others
    crowd.leave()
    until(lambda: threads() <= before)


def until(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_watch_serves_a_process(nothing_said, monkeypatch):
    monkeypatch.setattr(waiting, "gnu_openmp_of_torch", lambda: Path("libgomp"))
    monkeypatch.setattr(waiting, "_waited", lambda _: 0.0)

    def watches():
        return [each for each in threading.enumerate() if "sharing-cores" in each.name]

    with sharing_cores():
        (first,) = watches()
        with sharing_cores():
            assert watches() == [first]
        assert watches() == [first]
    assert watches() == []


@pytest.mark.parametrize("name", SAID)
def test_what_the_user_says_stays(nothing_said, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    before = threading.active_count()
    with sharing_cores():
        assert threading.active_count() == before


BESIDE_A_LOOP = """
import os, subprocess, sys, threading, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
from pc_crvae.utils import waiting
gathered = threading.Event()
class Crowd(waiting._Crowd):
    def __init__(self, runtime):
        super().__init__(runtime)
        gathered.set()
waiting._Crowd = Crowd
import torch
try:
    with waiting.sharing_cores():
        end = time.monotonic() + 100
        while not gathered.is_set() and time.monotonic() < end:
            torch.ones(300, 300) @ torch.ones(300, 300)
    print(gathered.is_set())
finally:
    loop.kill()
"""


@pytest.mark.skipif(gnu_openmp_of_torch() is None, reason="this torch brings no GNU OpenMP")
def test_beside_a_loop_on_the_only_core_threads_come_to_sleep():
    environment = {name: value for name, value in os.environ.items() if name not in SAID}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", BESIDE_A_LOOP],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    assert done.stdout.strip() == "True"
