"""A file that somebody drops on the page, read in a process that can be ended.

What a file holds is not to be trusted: one can keep a reader busy for ever, ask for all the memory,
or end the process. So a process of its own reads it, with bounds on time and memory; it reads one
file after another, and is started again after one that it did not survive.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.shapes import Shape, measure, shape_of, values_of
from pc_crvae.data.readers.shape_files import drawn, read_shape
from pc_crvae.errors import UserError

MOST_SECONDS = 120.0
"""Of one file; a file that takes longer is refused."""

MOST_BYTES = 8 * 2**30
"""Of memory that the process may ask for."""

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, eq=False)
class Dropped:
    """A shape that was read.

    Attributes:
        cloud: (P, 3) float32, ready for the model.
        shape: its measures.
    """

    cloud: NDArray[np.float32]
    shape: Shape


class DroppedReader:
    """What reads dropped files, one at a time; :func:`dropped_reader` makes one and ends it.

    Args:
        seconds: the time that one file may take.
    """

    def __init__(self, seconds: float = MOST_SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    def start(self) -> None:
        """Start the process, so that it is ready when the first file comes."""
        with self._lock:
            self._running()

    def read(self, path: Path, points: int, up: str | None) -> Dropped:
        """Read a shape as :func:`pc_crvae.data.readers.shape_files.load_shape` does.

        Args:
            path: the file, whose suffix says what it is.
            points: the number of points wanted.
            up: the axis that points up, as ``embed`` takes it.

        Raises:
            UserError: the file cannot be used, takes too long or too much memory, or ends the
                process that reads it.
            RuntimeError: the reader failed by an error of the code; it wrote its traceback.
        """
        with self._lock:
            process = self._running()
            late = threading.Event()

            def end() -> None:
                late.set()
                _kill(process)

            timer = threading.Timer(self._seconds, end)
            timer.start()
            try:
                _say(process, {"path": str(path), "points": points, "up": up})
                line = process.stdout.readline() if process.stdout is not None else b""
            finally:
                timer.cancel()
            if late.is_set():
                raise UserError(
                    f"{path} took more than the {self._seconds:g} seconds that a file has to be "
                    "read: simplify it"
                )
            if not line:
                raise _gone(path, process.wait())
        return _dropped(json.loads(line))

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._is_closed = True
        if self._process is not None:
            _kill(self._process)
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._is_closed:
            raise UserError("the server is about to end, and reads no more files")
        if self._process is None or self._process.poll() is not None:
            package = str(Path(__file__).parents[2])
            paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
            # A session of its own, so that Ctrl-C is for the parent to answer.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from {__name__} import main; main()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,
            )
        return self._process


@contextmanager
def dropped_reader(seconds: float = MOST_SECONDS) -> Iterator[DroppedReader]:
    """Give a reader of dropped files, which is ended with the context."""
    reader = DroppedReader(seconds)
    try:
        yield reader
    finally:
        reader.close()


def _say(process: "subprocess.Popen[bytes]", task: dict[str, Any]) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError):  # its end shows when it is asked for an answer
            process.stdin.write(json.dumps(task).encode() + b"\n")
            process.stdin.flush()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process and those that it started, such as the one that reads STEP."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _gone(path: Path, status: int) -> Exception:
    if status < 0:
        name = signal.Signals(-status).name
        return UserError(f"{path} ended the process that read it ({name}): is it too large?")
    return RuntimeError(f"the process that read {path} failed, exit status {status}")


def _dropped(answer: dict[str, Any]) -> Dropped:
    if "refused" in answer:
        raise UserError(answer["refused"])
    cloud = np.frombuffer(base64.b64decode(answer["cloud"]), dtype="<f4").reshape(-1, 3)
    points = np.frombuffer(base64.b64decode(answer["points"]), dtype="<f4")
    return Dropped(cloud, shape_of(answer["shape"], points))


def _answer(path: Path, points: int, up: str | None) -> dict[str, Any]:
    try:
        content = read_shape(path)
        cloud, shape = drawn(content, points, up), measure(content, up)
    except UserError as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": f"{path} needs more memory than a file has: simplify it"}
    return {
        "cloud": base64.b64encode(cloud.astype("<f4").tobytes()).decode("ascii"),
        "shape": values_of(shape),
        "points": base64.b64encode(shape.points.astype("<f4").tobytes()).decode("ascii"),
    }


def _bound() -> None:
    try:
        import resource
    except ImportError:  # Windows has none; the parent still counts the seconds
        return
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))


def _work(tasks: IO[bytes], answers: IO[bytes]) -> None:
    """Answer one task after another until the parent closes its end."""
    for line in tasks:
        task = json.loads(line)
        answer = _answer(Path(task["path"]), task["points"], task["up"])
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def main() -> None:
    """Be the process, told by the standard input and answering on the standard output."""
    _bound()
    with suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as answers:
        # What a library prints belongs among the errors: the answers have the pipe to themselves.
        os.dup2(2, 1)
        _work(sys.stdin.buffer, answers)
