"""Preparations that are killed, stopped, or at work at once: the work of one is done once."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from filelock import FileLock

from helpers.flaky_reader import COUNT
from helpers.preparing import content, entries, reads, run
from pc_crvae.data.cache import store
from pc_crvae.data.cache.preparation import Recipe


def start(root: Path, **environment: str) -> subprocess.Popen[str]:
    """Prepare in a process of its own."""
    code = (
        "import signal, sys; from pathlib import Path\n"
        # Which whoever runs the tests in the background may have switched off.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pc_crvae.data.cache import preparation; from helpers.flaky_reader import shapes\n"
        "recipe, place = preparation.Recipe('z', points=64), {'folder': sys.argv[1]}\n"
        "try: preparation.prepare(shapes(Path(sys.argv[1])), recipe, place, workers=2)\n"
        "except KeyboardInterrupt as stopped: print(stopped, file=sys.stderr); sys.exit(130)\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(root)],
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(done: Callable[[], bool], seconds: float = 600) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.01)


def records_of(cache: Path) -> int:
    """How many shapes a running preparation has written down."""
    for path in cache.glob("*.partial"):
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path)) as connection:
            (count,) = connection.execute("SELECT count(*) FROM kept").fetchone()
            return int(count)
    return 0


@pytest.fixture
def slow_root(root: Path) -> Path:
    for path in root.iterdir():
        path.write_text(path.read_text() + "# SLOW\n")
    return root


def test_a_killed_preparation_goes_on_and_ends_in_the_same_bytes(slow_root: Path, cache: Path):
    process = start(slow_root)
    wait_for(lambda: records_of(cache) >= 4)
    process.kill()
    process.wait()
    done = records_of(cache)
    interrupted = run(slow_root)
    assert 4 <= done < COUNT
    assert len(reads(slow_root, os.getpid())) == COUNT - done
    first = content(interrupted)
    assert not list(cache.glob("*.partial"))
    shutil.rmtree(cache)
    assert content(run(slow_root, workers=1)) == first


@pytest.mark.slow
def test_workers_end_with_a_killed_parent(slow_root: Path, cache: Path):
    process = start(slow_root)
    wait_for(lambda: records_of(cache) >= 1)
    children = Path(f"/proc/{process.pid}/task")
    workers = [
        int(child)
        for thread in children.iterdir()
        for child in (thread / "children").read_text().split()
    ]
    assert workers
    process.kill()
    process.wait()
    wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def test_ctrl_c_stops_with_one_sentence_and_keeps_what_is_done(slow_root: Path, cache: Path):
    process = start(slow_root)
    wait_for(lambda: records_of(cache) >= 2)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=600)[1]
    assert process.returncode == 130
    assert "of the 12 files of own done: the same command goes on from there" in said
    assert "Traceback" not in said
    assert records_of(cache) >= 2
    done = len(reads(slow_root))
    run(slow_root)
    assert len(reads(slow_root)) <= done + COUNT - 2


@pytest.mark.slow
def test_two_preparations_at_once_share_the_work_of_one(slow_root: Path, cache: Path):
    processes = [start(slow_root) for _ in range(2)]
    said = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    assert len(reads(slow_root)) == COUNT
    assert len(entries(cache)) == 1
    assert len(run(slow_root).checked()) == COUNT


def test_who_comes_second_says_that_it_waits(root: Path, cache: Path):
    wanted = {"folder": str(root), "recipe": asdict(Recipe("z", points=64))}
    place = store.Key("own", "train", wanted, 1, None).place
    cache.mkdir()
    with FileLock(f"{place}.lock"):
        process = start(root)
        assert process.stderr is not None
        assert "another process prepares" in process.stderr.readline()
        assert reads(root) == []
    process.communicate(timeout=600)
    assert process.returncode == 0
    assert len(reads(root)) == COUNT


@pytest.mark.slow
def test_one_takes_over_where_the_other_is_killed(slow_root: Path, cache: Path):
    first = start(slow_root)
    wait_for(lambda: records_of(cache) >= 1)
    second = start(slow_root)
    wait_for(lambda: records_of(cache) >= 3)
    first.kill()
    first.wait()
    assert second.wait(timeout=600) == 0
    assert len(reads(slow_root)) <= COUNT + 2
