"""``explore`` on a folder of many STL files: time by stage, memory and the size of the page.

Run it as ``python -m benchmarks.collection --files 10000 --folder WORK``. The files are procedural
shapes of 5,000 triangles. The command runs in a process of its own each time: from cold; from cold,
killed half-way through the reading, and once more for the rest; warm, without its page; and when
nothing has changed. The last lines are a table for docs/explore.md.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from pc_crvae.collection.reading import Collection
from pc_crvae.data.procedural.shapes import CLASSES, make_mesh
from pc_crvae.data.surface_sampling import face_vectors

TRIANGLES = 5000
READING = "reading and embedding"

_SEED = 23
_HEADER = 80  # bytes of a binary STL file before the number of its triangles
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_BETWEEN_LOOKS = 0.2  # seconds
_STAGE = "STAGE "


def with_triangles(mesh: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The same surface in more triangles: the largest cut in two, again and again.

    Args:
        mesh: (T, 3, 3), T at most ``count``.
        count: the triangles wanted.
    """
    while len(mesh) < count:
        areas = np.linalg.norm(face_vectors(mesh), axis=1)
        chosen = np.argsort(-areas, kind="stable")[: min(len(mesh), count - len(mesh))]
        cut = mesh[chosen]
        sides = np.linalg.norm(cut - np.roll(cut, -1, axis=1), axis=2)
        longest = sides.argmax(axis=1)
        rows = np.arange(len(cut))
        start, end, other = (cut[rows, (longest + k) % 3] for k in range(3))
        middle = (start + end) / 2
        mesh = mesh.copy()
        mesh[chosen] = np.stack([start, middle, other], axis=1)
        mesh = np.concatenate([mesh, np.stack([middle, end, other], axis=1)])
    return mesh


def write_stl(path: Path, mesh: NDArray[np.float64]) -> None:
    """Write triangles (T, 3, 3) as a binary STL file."""
    triangles = np.zeros(len(mesh), _TRIANGLE)
    triangles["corners"] = mesh
    count = np.uint32(len(mesh)).astype("<u4").tobytes()
    path.write_bytes(bytes(_HEADER) + count + triangles.tobytes())


def make_files(folder: Path, count: int) -> None:
    """Write STL files of `TRIANGLES` triangles, one folder per class; those that are there stay."""
    made = index = 0
    while made < count:
        mesh = make_mesh(_SEED, index)
        path = folder / CLASSES[index % len(CLASSES)] / f"{index:06d}.stl"
        index += 1
        if len(mesh) > TRIANGLES:
            continue
        made += 1
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_stl(path, with_triangles(mesh, TRIANGLES))


@dataclass
class Cost:
    """What a stage, or a whole run, took.

    Attributes:
        wall: seconds.
        processor: seconds, of the command and of its workers.
        peak: bytes resident at once, of the command and of its workers together.
    """

    wall: float = 0.0
    processor: float = 0.0
    peak: int = 0


@dataclass
class Ran:
    """What one run of the command took.

    Attributes:
        whole: from its start to its end.
        stages: by the name of the stage.
        read: files that were read, rather than known from an earlier run; None where it did not
            come to say so.
    """

    whole: Cost
    stages: dict[str, Cost]
    read: int | None


def run(folder: Path, out: Path, *, kill_after: int | None = None) -> Ran:
    """Run ``explore`` in a process of its own, and kill it once it has read so many files.

    What it keeps lies beside ``out``, so that runs to other folders know nothing of it.
    """
    environment = os.environ | {"PC_CRVAE_CACHE": str(_cache_of(out))}
    command = [sys.executable, "-m", "benchmarks.collection", "--child", str(folder), str(out)]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    watched = _Watched(process.pid)
    stages: dict[str, Cost] = {}
    read: int | None = None
    assert process.stdout is not None
    for line in process.stdout:
        if not line.startswith(_STAGE):
            continue
        name, what, *values = json.loads(line.removeprefix(_STAGE))
        if what == "begins":
            watched.peak = 0
        elif what == "ends":
            stages[name] = Cost(values[0], values[1], watched.peak)
        elif what == "read":
            read = values[0]
        elif kill_after is not None and values[0] >= kill_after:
            process.send_signal(signal.SIGKILL)
    status = process.wait()
    whole = Cost(time.monotonic() - started, watched.processor, watched.highest)
    watched.stop()
    if status != 0 and kill_after is None:
        raise RuntimeError(f"explore failed with status {status}")
    return Ran(whole, stages, read)


def _cache_of(out: Path) -> Path:
    return out.with_name(f"{out.name}-cache")


class _Watched:
    """The processor time and the memory of a process and its children, looked at while they run.

    Attributes:
        peak: bytes resident at once, since it was last set to 0.
        highest: the same since the start.
    """

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._seconds: dict[int, float] = {}
        self.peak = self.highest = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    @property
    def processor(self) -> float:
        return sum(self._seconds.values())

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(_BETWEEN_LOOKS):
            resident = 0
            try:
                processes = [self._root, *self._root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for process in processes:
                try:
                    times = process.cpu_times()
                    # What several have mapped, such as libraries, is counted once for each.
                    resident += process.memory_info().rss
                except psutil.NoSuchProcess:  # ended between two looks
                    continue
                self._seconds[process.pid] = times.user + times.system
            self.peak = max(self.peak, resident)
            self.highest = max(self.highest, resident)


def _processor_time() -> float:
    """Seconds of this process and of its children, those that have ended included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.process_time() + ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(child.cpu_times()[:2])
    return seconds


@contextmanager
def _timed(what: str, total: int, console: object = None) -> Iterator[Callable[[], None]]:
    """Stand in for the command's own progress, and say what each stage took."""
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if what == READING and done % 50 == 0:
            _say(what, "did", done)

    _say(what, "begins")
    started, processor = time.monotonic(), _processor_time()
    yield advance
    _say(what, "ends", time.monotonic() - started, _processor_time() - processor)


def _say(*values: object) -> None:
    print(_STAGE + json.dumps(values), flush=True)


def _child(folder: str, out: str) -> None:
    from pc_crvae.__main__ import run as command
    from pc_crvae.cli import counting
    from pc_crvae.collection import explore
    from pc_crvae.collection.reading import read_files

    def read_and_tell(*arguments: Any, **options: Any) -> Collection:
        found = read_files(*arguments, **options)
        _say(READING, "read", found.read)
        return found

    vars(explore)["read_files"] = read_and_tell
    counting.counting = _timed
    sys.argv = ["pc-crvae", "explore", folder, "--out", out]
    command()


def _lines(name: str, ran: Ran) -> list[str]:
    """The lines of a table on a run: the whole of it, and its stages."""
    whole = name if ran.read is None else f"{name}, {ran.read:,} files read"
    costs = {whole: ran.whole} | {f"… {stage}": cost for stage, cost in ran.stages.items()}
    return [
        f"| {what} | {cost.wall:,.1f} | {cost.processor:,.1f} | {cost.peak / 1e6:,.0f} |"
        for what, cost in costs.items()
    ]


def main() -> None:
    """Make the files, run the command and tell."""
    if sys.argv[1:2] == ["--child"]:
        _child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--folder", type=Path, help="to work in, and keep (default: temporary)")
    parser.add_argument("--no-kill", action="store_true", help="leave out the runs with a kill")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work: Path = options.folder or Path(temporary)
        shapes, out, killed = (work / name for name in ("shapes", "out", "killed"))
        make_files(shapes, options.files)
        for earlier in (out, killed):
            shutil.rmtree(earlier, ignore_errors=True)
            shutil.rmtree(_cache_of(earlier), ignore_errors=True)
        lines = ["| run | seconds | processor seconds | MB at most |", "|---|---:|---:|---:|"]

        def tell(name: str, folder: Path, kill_after: int | None = None) -> None:
            found = _lines(name, run(shapes, folder, kill_after=kill_after))
            print("\n".join(found), file=sys.stderr, flush=True)
            lines.extend(found)

        tell("from cold", out)
        if not options.no_kill:
            tell("killed half-way", killed, options.files // 2)
            tell("the rest", killed)
        page = out / "explore.html"
        size = page.stat().st_size
        page.unlink()
        tell("warm, its page deleted", out)
        tell("nothing has changed", out)
        print("\n".join(lines))
        print(
            f"\n{options.files:,} files, {os.cpu_count()} processors, a page of {size / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    main()
