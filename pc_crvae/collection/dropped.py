"""A file that somebody drops on the page, read in a process that can be ended.

What a file holds is not to be trusted: one can keep a reader busy for ever, ask for all the memory,
or end the process. So a process of its own reads it, with bounds on time and memory; it reads one
file after another, and is started again after one that it did not survive.
"""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.shapes import Shape, prepare_measuring, shape_of
from pc_crvae.errors import UserError
from pc_crvae.utils.workers import Answer, Found, Lost, Worker

MOST_SECONDS = 120.0
"""Of one file; a file that takes longer is refused."""

MOST_BYTES = 8 * 2**30
"""Of memory that the process may ask for."""


class DroppedReader:
    """What reads dropped files, one at a time; to be closed in the end.

    Args:
        points: the number of points wanted of each.
        up: the axis that points up, as ``embed`` takes it.
        seconds: the time that one file may take.
    """

    def __init__(self, points: int, up: str | None, seconds: float = MOST_SECONDS) -> None:
        self._setup = [MOST_BYTES, up, points]
        self._seconds = seconds
        self._lock = threading.Lock()
        self._worker: Worker | None = None
        self._is_closed = False

    def start(self) -> None:
        """Start the process, so that it is ready when the first file comes."""
        with self._lock:
            self._running()

    def read(self, path: Path) -> tuple[NDArray[np.float32], Shape]:
        """Read a shape as :func:`pc_crvae.data.readers.shape_files.load_shape` does.

        Args:
            path: the file, whose suffix says what it is.

        Returns:
            Points (P, 3), ready for the model, and the measures of the shape.

        Raises:
            UserError: the file cannot be used, takes too long or too much memory, or ends the
                process that reads it.
            RuntimeError: the reader failed by an error of the code; it wrote its traceback.
        """
        with self._lock:
            worker = self._running()
            try:
                answer = worker.ask(str(path), self._seconds)
            except RuntimeError:
                self._end()
                raise
            if isinstance(answer, Lost):
                self._end()
                raise UserError(answer.why(path))
        if isinstance(answer, UserError):
            raise answer
        values, arrays = answer
        return arrays["cloud"], shape_of(values["shape"], arrays["points"])

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
            self._worker = Worker(prepare_dropped, self._setup)
        return self._worker

    def _end(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()


def prepare_dropped(setup: Any) -> Answer:
    """Bound the memory of this process, and return what measures the shape of a file.

    Args:
        setup: the bytes that the process may ask for, the axis that points up, and the count of
            points drawn.
    """
    most_bytes, up, points = setup
    try:
        import resource
    except ImportError:  # Windows has none; the parent still counts the seconds
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
    measured = prepare_measuring([up, points, False])

    def read(path: str) -> Found:
        try:
            return measured(path)
        except MemoryError:
            raise UserError(f"{path} needs more memory than a file has: simplify it") from None

    return read
