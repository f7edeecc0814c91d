"""Work shared out among processes that may be killed: each answers one task after another.

A worker is a fresh interpreter that imports one module and what that needs. It is told a task a
line and answers with plain values and arrays. So no script needs a guard around its main part, a
task that crashes its worker, or takes too long, costs that worker alone, and a worker ends when its
parent does.
"""

import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.errors import MissingPackageError, UserError

Found = tuple[dict[str, Any], dict[str, NDArray[Any]]]
"""What a task gave: plain values, and arrays of numbers."""

Answer = Callable[[Any], Found]
"""Answers a task, which is plain values; raises a UserError where that is refused."""

Prepare = Callable[[Any], Answer]
"""A function of a module's top level that a worker calls once, with plain values."""

_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_LENGTH = struct.Struct("<Q")

_AHEAD = 8
"""Tasks of each worker that may be begun before the answer that is waited for is there."""


@dataclass(frozen=True)
class Lost:
    """No answer came.

    Attributes:
        signal: the name of the signal that ended the worker; None where it took too long.
        seconds: the time that it had.
    """

    signal: str | None
    seconds: float | None = None

    def why(self, path: str | Path) -> str:
        """Return the sentence why a file that cost its worker cannot be used."""
        if self.signal is None:
            return f"{path} took more than the {self.seconds:g} seconds that a file has to be read"
        return f"{path} ended the process that read it ({self.signal}): is it too large?"


def answers(
    prepare: Prepare,
    setup: Any,
    tasks: Iterable[Any],
    workers: int,
    *,
    most_seconds: float | None = None,
    ordered: bool = True,
) -> Generator[tuple[int, Found | UserError | Lost], None, None]:
    """Yield the place of each task and its answer, worked out by some processes.

    Tasks are taken as they are needed, a few ahead of the answers, by another thread. Closing the
    generator, or an error in it, ends the processes.

    Args:
        prepare: the function that gives what answers.
        setup: the argument of ``prepare``, plain values.
        tasks: plain values each.
        workers: the number of processes.
        most_seconds: the seconds that a task may take; None: as long as it likes.
        ordered: whether answers come in the order of the tasks, or else as they are ready.

    Raises:
        RuntimeError: a worker failed by an error of the code; it wrote its traceback.
    """
    count = max(1, min(workers, len(tasks)) if isinstance(tasks, Sized) else workers)
    free: list[Worker] = []
    running: list[Worker] = []
    starting = threading.Lock()
    has_ended = False
    ahead = threading.Semaphore(_AHEAD * count)

    def paced() -> Iterator[tuple[int, Any]]:
        for placed in enumerate(tasks):
            ahead.acquire()
            if has_ended:
                return
            yield placed

    def ask(placed: tuple[int, Any]) -> tuple[int, Found | UserError | Lost]:
        place, task = placed
        with starting:
            if has_ended:
                return place, Lost("SIGKILL")
            worker = free.pop() if free else Worker(prepare, setup)
            if worker not in running:
                running.append(worker)
        answer = worker.ask(task, most_seconds)
        if isinstance(answer, Lost):
            worker.end()
            running.remove(worker)
        else:
            free.append(worker)
        return place, answer

    pool = ThreadPool(count)  # its threads are daemons, which keep no process from its end
    try:
        for answered in (pool.imap if ordered else pool.imap_unordered)(ask, paced()):
            yield answered
            ahead.release()
    finally:
        with starting:
            has_ended = True
        ahead.release()  # for the thread that takes tasks, where it waits
        for worker in list(running):
            worker.end()
        pool.terminate()


class Worker:
    """The parent's end of a worker process, which starts at once.

    Args:
        prepare: the function that gives what answers.
        setup: the argument of ``prepare``, plain values.
    """

    def __init__(self, prepare: Prepare, setup: Any) -> None:
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
        self._say([prepare.__module__, prepare.__qualname__, setup])

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def _say(self, values: Any) -> None:
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # its end shows when it is asked for an answer
                self._process.stdin.write(json.dumps(values).encode() + b"\n")
                self._process.stdin.flush()

    def ask(self, task: Any, most_seconds: float | None) -> Found | UserError | Lost:
        """Return the answer to a task; after a lost one the worker is no more, and is to be ended.

        Args:
            task: plain values.
            most_seconds: that the task may take; None: as long as it likes.

        Raises:
            RuntimeError: the worker failed by an error of the code; it wrote its traceback.
        """
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._kill()

        clock = threading.Timer(most_seconds or threading.TIMEOUT_MAX, stop)
        clock.daemon = True
        clock.start()
        try:
            self._say(task)
            answer = None if self._process.stdout is None else _read_answer(self._process.stdout)
        finally:
            clock.cancel()
        if answer is not None:
            return _told(answer)
        if late.is_set():
            return Lost(None, most_seconds)
        status = self._process.wait()
        if status >= 0:
            raise RuntimeError(f"a worker failed at {task}, exit status {status}")
        return Lost(signal.Signals(-status).name)

    def _kill(self) -> None:
        """End it, and the processes that it started."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def end(self) -> None:
        """End the process, whatever it is at."""
        if self._process.poll() is None:
            self._kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            # At the interpreter's end, a thread that is gone may hold the pipe for ever.
            if pipe is not None and not sys.is_finalizing():
                with suppress(BrokenPipeError):
                    pipe.close()


def _read_answer(file: IO[bytes]) -> bytes | None:
    length = file.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(length)
    content = file.read(size)
    return content if len(content) == size else None


def _told(content: bytes) -> Found | UserError:
    values, arrays = unpack(content)
    if "refused" not in values:
        return values["found"], arrays
    return (MissingPackageError if values["is_package"] else UserError)(values["refused"])


def pack(values: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> bytes:
    """Return plain values and arrays of numbers as bytes, which :func:`unpack` reads."""
    kinds = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
    text = json.dumps([values, kinds]).encode()
    numbers = (np.ascontiguousarray(array).tobytes() for array in arrays.values())
    return b"".join([_LENGTH.pack(len(text)), text, *numbers])


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what :func:`pack` gave; the arrays can be written to."""
    (size,) = _LENGTH.unpack_from(content)
    start = _LENGTH.size + size
    values, kinds = json.loads(content[_LENGTH.size : start])
    arrays = {}
    for name, (kind, shape) in kinds.items():
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(content, kind, count, start).reshape(shape).copy()
        start += arrays[name].nbytes
    return values, arrays


def main() -> None:
    """Be a worker, told by the standard input and answering on the standard output."""
    with suppress(BrokenPipeError), os.fdopen(os.dup(1), "wb") as output:
        # What a library prints belongs among the errors: the answers have the pipe to themselves.
        os.dup2(2, 1)
        module, name, setup = json.loads(sys.stdin.buffer.readline())
        answer: Answer = getattr(import_module(module), name)(setup)
        for line in sys.stdin.buffer:
            try:
                values, arrays = answer(json.loads(line))
                content = pack({"found": values}, arrays)
            except UserError as error:
                is_package = isinstance(error, MissingPackageError)
                content = pack({"refused": str(error), "is_package": is_package}, {})
            output.write(_LENGTH.pack(len(content)) + content)
            output.flush()
