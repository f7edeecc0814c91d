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
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pc_crvae.utils.threads import gnu_openmp_of_torch, is_way_of_waiting_set

_EVERY = 0.25  # seconds between two looks
_SHARED = 0.05  # the share of time spent waiting for a core from which others want it
_ALONE = 0.01
_LOOKS_ALONE = 8  # in a row, until threads spin again

_in_use = threading.Lock()


@contextmanager
def sharing_cores() -> Iterator[None]:
    """In the block, have torch's threads sleep while they wait, wherever others want the cores.

    The calling thread is the one that is looked at: how long it waits for a core, as Linux
    counts. What the environment says of waiting stays, and other runtimes than GNU's are left as
    they are. A block within another changes nothing.
    """
    runtime = None if is_way_of_waiting_set() else gnu_openmp_of_torch()
    if runtime is None or not _in_use.acquire(blocking=False):
        yield
        return
    over = threading.Event()
    statistics = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
    watch = threading.Thread(
        target=_watch,
        args=(lambda: _waited(statistics), lambda: _Crowd(runtime), over),
        name="pc_crvae-sharing-cores",
        daemon=True,
    )
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()
        _in_use.release()


class _Crowd:
    """Idle threads of OpenMP, one more than there are cores, until they leave."""

    def __init__(self, runtime: Path) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._stay, args=(runtime,), daemon=True)
        self._thread.start()

    def _stay(self, runtime: Path) -> None:
        openmp = ctypes.CDLL(str(runtime))
        cores = len(os.sched_getaffinity(0))  # as the runtime counts them
        does_nothing = openmp.omp_get_num_threads
        openmp.GOMP_parallel(does_nothing, None, cores + 1, 0)
        self._over.wait()  # the team lives as long as the thread that made it

    def leave(self) -> None:
        self._over.set()
        self._thread.join()


def _watch(
    waited: Callable[[], float | None], gather: Callable[[], _Crowd], over: threading.Event
) -> None:
    """Keep a crowd while the time that a thread waits for a core grows, until it is over.

    Args:
        waited: a function that returns the seconds so far, or None where nothing tells. Then
            others are taken to want the cores.
        gather: a function that makes a crowd.
        over: the event that ends the watch.
    """
    crowd: _Crowd | None = None
    looks_alone = 0
    before, then = waited(), time.monotonic()
    while not over.wait(_EVERY):
        so_far, now = waited(), time.monotonic()
        share = 1.0 if so_far is None or before is None else (so_far - before) / (now - then)
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


def _waited(statistics: Path) -> float | None:
    """Seconds that a thread was ready to run and had no core, None where the system does not say.

    Args:
        statistics: the file ``schedstat`` of the thread.
    """
    try:
        return int(statistics.read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
