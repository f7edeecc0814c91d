"""``explore`` on a folder of many STL files: time by stage, memory and the size of the page.

Run it as ``python -m benchmarks.collection --files 10000``. The files are procedural shapes of
5,000 triangles. The command runs three times, each in a process of its own: from cold, killed
half-way through the reading; again, when it may read only what is left; and warm.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

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
    """Write STL files of `TRIANGLES` triangles, a folder a class; those that are there stay."""
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
class Ran:
    """What one run of the command took.

    Attributes:
        wall: seconds.
        processor: seconds, of it and of its workers.
        peak: bytes resident at once, of it and of its workers together.
        stages: seconds by the name of the stage.
        said: what it printed.
    """

    wall: float
    processor: float
    peak: int
    stages: dict[str, float]
    said: str


def run(folder: Path, out: Path, *, kill_after: int | None = None) -> Ran:
    """Run ``explore`` in a process of its own, and kill it once it has read so many files."""
    command = [sys.executable, "-m", "benchmarks.collection", "--child", str(folder), str(out)]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watched = _Watched(process.pid)
    errors = threading.Thread(target=lambda: sys.stderr.write(_of(process.stderr)), daemon=True)
    errors.start()
    said, stages = [], {}
    assert process.stdout is not None
    for line in process.stdout:
        if not line.startswith(_STAGE):
            said.append(line)
            continue
        name, value = json.loads(line.removeprefix(_STAGE))
        if name == "read" and kill_after is not None and value >= kill_after:
            process.send_signal(signal.SIGKILL)
        elif name != "read":
            stages[name] = value
    status = process.wait()
    wall = time.monotonic() - started
    watched.stop()
    if status != 0 and kill_after is None:
        raise RuntimeError(f"explore failed with status {status}")
    return Ran(wall, watched.processor, watched.peak, stages, "".join(said))


def _of(pipe: object) -> str:
    return str(pipe.read()) if hasattr(pipe, "read") else ""


class _Watched:
    """The processor time and the memory of a process and its children, looked at while they run."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)
        self._seconds: dict[int, float] = {}
        self.peak = 0
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
                    # What was shared at a fork is counted once for each; there are no forks here.
                    resident += process.memory_info().rss
                except psutil.NoSuchProcess:  # ended between two looks
                    continue
                self._seconds[process.pid] = times.user + times.system
            self.peak = max(self.peak, resident)


@contextmanager
def _timed(what: str, total: int, console: object = None) -> Iterator[Callable[[], None]]:
    """Stand in for the command's own progress, and say how long each stage took."""
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if what == READING and done % 50 == 0:
            print(_STAGE + json.dumps(["read", done]), flush=True)

    started = time.monotonic()
    yield advance
    print(_STAGE + json.dumps([what, time.monotonic() - started]), flush=True)


def _child(folder: str, out: str) -> None:
    from pc_crvae.__main__ import run as command
    from pc_crvae.cli import counting

    counting.counting = _timed
    sys.argv = ["pc-crvae", "explore", folder, "--out", out]
    command()


def _tell(name: str, ran: Ran) -> None:
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in ran.stages.items())
    print(
        f"{name}: {ran.wall:.1f} s, {ran.processor:.1f} s of processor time, at most "
        f"{ran.peak / 1e6:,.0f} MB resident; seconds by stage: {stages}",
        flush=True,
    )


def main() -> None:
    """Make the files, run the command and tell."""
    if sys.argv[1:2] == ["--child"]:
        _child(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--folder", type=Path, help="to work in, and keep (default: temporary)")
    parser.add_argument("--no-kill", action="store_true", help="do not kill the first run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work: Path = options.folder or Path(temporary)
        shapes, out = work / "shapes", work / "out"
        make_files(shapes, options.files)
        print(f"{options.files:,} files, {os.cpu_count()} processors", flush=True)
        if not options.no_kill:
            killed = run(shapes, out, kill_after=options.files // 2)
            _tell("killed half-way", killed)
        _tell("from cold" if options.no_kill else "the rest", run(shapes, out))
        _tell("warm", run(shapes, out))
        page = (out / "explore.html").stat().st_size
        print(f"page: {page / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
