"""The memory that one call adds, measured in a process of its own (Linux only)."""

import ctypes
import gc
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.timing import Action

_ROOT = Path(__file__).resolve().parents[1]
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def added_memory(suite: str, name: str, *, quick: bool) -> dict[str, float]:
    """Peak MB (10^6 bytes) added by each action of a case; empty where that cannot be measured.

    Args:
        suite: a module of this package that has a function ``actions``.
        name: the case, as ``actions`` takes it.
        quick: as ``actions`` takes it.
    """
    if not os.access(_CLEAR_REFS, os.W_OK):
        return {}
    paths = [str(_ROOT), str(_ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", suite, name, str(int(quick))],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    # What an imported library may print comes before.
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def added_by(action: Action) -> float:
    """Peak MB added by a second call of ``action``.

    The first compiles kernels and lets libraries make the buffers that they keep.
    """
    action()
    gc.collect()
    _return_free_memory()
    _CLEAR_REFS.write_text("5")  # the peak starts again from what is resident now
    before = _status_mb("VmRSS")
    action()
    return max(0.0, _status_mb("VmHWM") - before)


def private_mb() -> float | None:
    """MB (10^6 bytes) that are this process's own, mapped files aside; None where unknown."""
    return _status_mb("RssAnon") if _STATUS.exists() else None


def _return_free_memory() -> None:
    """Have the C library give back what it holds free, so that a second call must ask again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc
    if trim is not None:
        trim(0)


def _status_mb(key: str) -> float:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"{_STATUS} has no {key}")


def _main(suite: str, name: str, quick: str) -> None:
    actions = importlib.import_module(f"benchmarks.{suite}").actions(name, quick=bool(int(quick)))
    print(json.dumps({label: added_by(action) for label, action in actions.items()}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
