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
    monkeypatch.setitem(sys.modules, "torch", object())  # which a watch awaits
    clock, times = iter(range(len(shares) + 1)), [{"1": (0.0, 0.0)}]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: float(next(clock)))
    for share in shares:
        ran, waited = times[-1]["1"]
        times.append({"1": (ran + 1 - share, waited + share)})
    so_far, crowd = iter(times), Crowd()
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
    monkeypatch.setitem(sys.modules, "torch", object())
    monkeypatch.setattr(waiting.time, "monotonic", lambda: 0.0)
    crowd = Crowd()
    looks = Looks(3, crowd)
    waiting._watch(dict, crowd.gather, looks)
    assert looks.seen[1:] == [True, True, True]


def test_threads_that_are_gone_and_files_that_do_not_say_have_no_times(tmp_path):
    assert waiting._times(tmp_path / "missing") == {}
    for thread, text in (("7", "500000000 2500000000 7\n"), ("8", "\n"), ("9", None)):
        (tmp_path / thread).mkdir()
        if text is not None:
            (tmp_path / thread / "schedstat").write_text(text)
    assert waiting._times(tmp_path) == {"7": (0.5, 2.5)}


def test_the_thread_that_wants_a_core_longest_is_the_one_that_counts():
    before = {"helper": (0.0, 0.0), "main": (5.0, 1.0), "gone": (0.0, 0.0)}
    after = {"helper": (0.1, 0.5), "main": (5.9, 1.1), "new": (0.0, 9.0)}
    assert waiting._waited(before, after) == pytest.approx(0.1)
    assert waiting._waited({}, after) == 0.0


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
    monkeypatch.setattr(waiting, "_times", lambda: {"1": (0.0, 0.0)})

    def watches():
        return [each for each in threading.enumerate() if "sharing-cores" in each.name]

    with sharing_cores():
        (first,) = watches()
        with sharing_cores():
            assert watches() == [first]
        assert watches() == [first]
    assert watches() == []


@pytest.fixture
def no_room(monkeypatch):
    """A system that can start no thread."""

    def refuses(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuses)


def test_where_no_thread_can_be_started_the_block_runs_all_the_same(
    nothing_said, no_room, monkeypatch
):
    monkeypatch.setattr(waiting, "gnu_openmp_of_torch", lambda: Path("libgomp"))
    before = threading.active_count()
    with sharing_cores():
        assert threading.active_count() == before
    assert not waiting._in_use.locked()


def test_the_runtime_is_asked_for_no_more_threads_than_there_is_room_for(no_room):
    assert not waiting._is_room_for(3)
    waiting._Crowd(Path("is not loaded")).leave()


def test_room_for_threads_is_given_back():
    before = threading.active_count()
    assert waiting._is_room_for(3)
    assert threading.active_count() == before


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
        def work():
            while not gathered.is_set() and time.monotonic() < end:
                torch.ones(300, 300) @ torch.ones(300, 300)
        worker = threading.Thread(target=work)  # as that of a request to the server of explore
        worker.start()
        worker.join()
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
