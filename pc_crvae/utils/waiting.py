"""How OpenMP's threads wait for each other: spinning while alone, asleep while others want cores.

Threads that spin at the end of each parallel part meet again at once. Where another process has the
core of the one that is waited for, they spin whole slices of time away. Threads that sleep lose
little there, but to wake one costs so much on a virtual machine that a small step takes twice as
long alone. So neither is right for a whole run.

GNU's runtime, which torch brings on Linux, spins for milliseconds while it has no more threads than
cores, and for microseconds while it has more ("libgomp", section ``GOMP_SPINCOUNT``). A few idle
threads are therefore enough to choose while a program runs. The number of threads that compute, and
with it each digit, stays.
"""

import ctypes
import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pc_crvae.utils.threads import gnu_openmp_of_torch, is_way_of_waiting_set

_EVERY = 0.25  # seconds between two looks
_SHARED = 0.05  # the share of time spent waiting for a core from which others want it
_ALONE = 0.01
_LOOKS_ALONE = 8  # in a row, until threads spin again

_in_use = threading.Lock()

Times = dict[str, tuple[float, float]]
"""By thread, the seconds that it ran, and those that it was ready to run and had no core."""


@contextmanager
def sharing_cores() -> Iterator[None]:
    """In the block, have torch's threads sleep while they wait, wherever others want the cores.

    What is looked at is how long the busiest thread of the process waits for a core, as Linux
    counts. What the environment says of waiting stays, and other runtimes than GNU's are left as
    they are. A block within another changes nothing, nor does one where no thread can be started.
    """
    runtime = None if is_way_of_waiting_set() else gnu_openmp_of_torch()
    if runtime is None or not _in_use.acquire(blocking=False):
        yield
        return
    over = threading.Event()
    watch = threading.Thread(
        target=_watch,
        args=(_times, lambda: _Crowd(runtime), over),
        name="pc_crvae-sharing-cores",
        daemon=True,
    )
    with ExitStack() as stack:  # which goes on where an interrupt ends one of these
        stack.callback(_in_use.release)
        if _started(watch):
            stack.callback(watch.join)
            stack.callback(over.set)
        yield


class _Crowd:
    """Idle threads of OpenMP, one more than there are cores, until they leave.

    There is none where the system has no room for so many threads.
    """

    def __init__(self, runtime: Path) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._stay, args=(runtime,), daemon=True)
        _started(self._thread)

    def _stay(self, runtime: Path) -> None:
        openmp = ctypes.CDLL(str(runtime))
        count = len(os.sched_getaffinity(0)) + 1  # cores as the runtime counts them
        # The runtime ends the process where it cannot start a thread, so others try beforehand.
        if _is_room_for(count):
            does_nothing = openmp.omp_get_num_threads
            openmp.GOMP_parallel(does_nothing, None, count, 0)
        self._over.wait()  # the team lives as long as the thread that made it

    def leave(self) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()


def _started(thread: threading.Thread) -> bool:
    """Start a thread; False where the system has no room for it."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def _is_room_for(count: int) -> bool:
    """Whether so many more threads can be started side by side, which end again."""
    over = threading.Event()
    threads = [threading.Thread(target=over.wait, daemon=True) for _ in range(count)]
    started = list(itertools.takewhile(_started, threads))
    over.set()
    for thread in started:
        thread.join()
    return len(started) == count


def _watch(times: Callable[[], Times], gather: Callable[[], _Crowd], over: threading.Event) -> None:
    """Keep a crowd while the busiest thread waits for a core now and then, until it is over.

    Args:
        times: a function that returns the times of the threads so far, none where nothing tells.
            Then others are taken to want the cores.
        gather: a function that makes a crowd.
        over: the event that ends the watch.
    """
    crowd: _Crowd | None = None
    looks_alone = 0
    before, then = times(), time.monotonic()
    while not over.wait(_EVERY):
        so_far, now = times(), time.monotonic()
        share = _waited(before, so_far) / (now - then) if so_far else 1.0
        before, then = so_far, now
        if "torch" not in sys.modules:
            continue
        looks_alone = looks_alone + 1 if share < _ALONE else 0
        if crowd is None and share > _SHARED:
            crowd = gather()
        elif crowd is not None and looks_alone >= _LOOKS_ALONE:
            crowd.leave()
            crowd = None
    if crowd is not None:
        crowd.leave()


def _waited(before: Times, after: Times) -> float:
    """Seconds between two looks that the thread which wanted a core longest had none."""
    wanted = [(0.0, 0.0)]
    for thread in before.keys() & after.keys():
        ran, waited = (now - then for now, then in zip(after[thread], before[thread], strict=True))
        wanted.append((ran + waited, waited))
    return max(wanted)[1]


def _times(tasks: Path = Path("/proc/self/task")) -> Times:
    """The times of this process's threads; empty where the system does not tell.

    Args:
        tasks: a folder with a folder of each thread, whose file ``schedstat`` has nanoseconds.
    """
    times = {}
    for statistics in tasks.glob("*/schedstat"):
        try:
            ran, waited, *_ = statistics.read_text().split()
            times[statistics.parent.name] = int(ran) / 1e9, int(waited) / 1e9
        except (OSError, ValueError):  # the thread is gone, or the file says nothing
            continue
    return times
