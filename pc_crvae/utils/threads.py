"""How many cores this process may use, and which OpenMP runs its threads."""

import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""What OpenMP's runtimes take the way of waiting from: the standard's, GNU's and LLVM's."""

_OURS = {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "300000"}
"""What commands set for GNU's: it spins as by default, but ten times longer than that while
it has more threads than cores. Sleep is then left to long waits, which is faster beside other work.
"""

_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What torch takes the number of its threads from."""


def prepare_threads() -> None:
    """Have torch take no more threads than the cores there are.

    How they wait for each other :mod:`pc_crvae.utils.waiting` chooses later, where their OpenMP is
    GNU's. Another has them sleep. What the environment says stays.
    Once torch is loaded it is too late, and nothing is set; child processes inherit what is.
    """
    if "torch" in sys.modules:
        return
    if not is_way_of_waiting_set():
        is_gnu = gnu_openmp_of_torch() is not None
        os.environ.update(_OURS if is_gnu else {"OMP_WAIT_POLICY": "PASSIVE"})
    cores = usable_cores()
    if not is_count_set() and cores < (os.cpu_count() or 1):
        os.environ["OMP_NUM_THREADS"] = str(cores)


def gnu_openmp_of_torch() -> Path | None:
    """The GNU OpenMP runtime that the installed torch brings, None where it uses another.

    Torch need not be loaded, and is not.
    """
    try:
        spec = find_spec("torch")
    except ValueError:  # something that stands in for torch has no spec
        return None
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    places = (package / "lib", package.parent / "torch.libs")
    return next((found for place in places for found in sorted(place.glob("libgomp*.so*"))), None)


def is_way_of_waiting_set() -> bool:
    """Whether the environment says how threads wait, and no command has said it there."""
    said = {name: os.environ[name] for name in _WAITING if name in os.environ}
    return said not in ({}, _OURS)


def is_count_set() -> bool:
    """Whether the environment says how many threads there are."""
    return any(name in os.environ for name in _COUNTS)


def usable_cores(groups: Path = Path("/sys/fs/cgroup"), membership: str | None = None) -> int:
    """How many cores this process may use, by its affinity and the limits of its control groups.

    A limit of one core and a half makes two.

    Args:
        groups: the folder that the control groups are mounted at.
        membership: the lines of ``/proc/self/cgroup``, by default read there.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    if membership is None:
        membership = _text_of(Path("/proc/self/cgroup")) or ""
    limits = [limit for limit in _limits(groups, membership) if limit > 0]
    return max(1, min([cores, *(-int(-limit // 1) for limit in limits)]))


def _limits(groups: Path, membership: str) -> Iterator[float]:
    """Yield the cores that each group on the way from this process's to the top allows."""
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        top = groups if not controllers else groups / controllers
        if controllers and not top.is_dir():
            top = groups / "cpu"
        # In a container the place may be that outside, and the mounted top its own group.
        inner = Path(place.lstrip("/"))
        for folder in {top / part for part in (inner, *inner.parents)}:
            yield from _limits_in(folder)


def _limits_in(folder: Path) -> Iterator[float]:
    second = (_text_of(folder / "cpu.max") or "").split()
    if len(second) == 2 and second[0] != "max":
        yield int(second[0]) / int(second[1])
    quota = _text_of(folder / "cpu.cfs_quota_us")
    period = _text_of(folder / "cpu.cfs_period_us")
    if quota and period and int(quota) > 0:
        yield int(quota) / int(period)


def _text_of(file: Path) -> str | None:
    """What a file of the kernel holds; None where there is none that can be read."""
    try:
        return file.read_text()
    except OSError:
        return None
