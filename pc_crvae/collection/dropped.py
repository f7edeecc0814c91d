"""A file that somebody drops on the page, read in a process that can be ended.

What a file holds is not to be trusted: one can keep a reader busy for ever, ask for all the memory,
or end the process. So a process of its own reads it, with bounds on time and memory; it reads one
file after another, and is started again after one that it did not survive.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.shapes import Shape, measure, shape_of, values_of
from pc_crvae.data.readers.shape_files import drawn, read_shape
from pc_crvae.errors import UserError
from pc_crvae.utils.workers import Answer, Found, Lost, Worker

MOST_SECONDS = 120.0
"""Of one file; a file that takes longer is refused."""

MOST_BYTES = 8 * 2**30
"""Of memory that the process may ask for."""


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
    """What reads dropped files, one at a time; to be closed in the end.

    Args:
        seconds: the time that one file may take.
    """

    def __init__(self, seconds: float = MOST_SECONDS) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._worker: Worker | None = None
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
            worker = self._running()
            try:
                answer = worker.ask({"path": str(path), "points": points, "up": up}, self._seconds)
            except RuntimeError:
                self._end()
                raise
            if isinstance(answer, Lost):
                self._end()
                raise UserError(answer.why(path))
        if isinstance(answer, UserError):
            raise answer
        values, arrays = answer
        return Dropped(arrays["cloud"], shape_of(values, arrays["points"]))

    def close(self) -> None:
        """End the process, whatever it is at."""
        self._is_closed = True
        self._end()

    def _running(self) -> Worker:
        if self._is_closed:
            raise UserError("the server is about to end, and reads no more files")
        if self._worker is not None and not self._worker.is_alive:
            self._end()
        if self._worker is None:
            self._worker = Worker(reader_of_dropped, MOST_BYTES)
        return self._worker

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()


def reader_of_dropped(most_bytes: int) -> Answer:
    """Bound the memory of this process, and return what reads the file of a task."""
    try:
        import resource
    except ImportError:  # Windows has none; the parent still counts the seconds
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    return _answer


def _answer(task: dict[str, Any]) -> Found:
    path, up = Path(task["path"]), task["up"]
    try:
        content = read_shape(path)
        cloud, shape = drawn(content, task["points"], up), measure(content, up)
    except MemoryError:
        raise UserError(f"{path} needs more memory than a file has: simplify it") from None
    return values_of(shape), {"cloud": cloud.astype("<f4"), "points": shape.points}
