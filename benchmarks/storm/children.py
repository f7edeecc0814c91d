"""Commands in processes that are forked, so that each starts at once, and can be killed."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

_FORK = multiprocessing.get_context("fork")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 180.0  # seconds, on a machine however busy


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        status: its exit status, minus the signal that killed it, or None where it was stuck.
        said: what it printed.
    """

    status: int | None
    said: str

    @property
    def has_traceback(self) -> bool:
        """Whether it printed one."""
        return "Traceback (most recent call last)" in self.said


class Child:
    """A function at work in a process of its own.

    Args:
        act: called there; its result is the exit status.
        log: takes what it prints.
    """

    def __init__(self, act: Callable[[], int], log: Path) -> None:
        self._log = log
        self._process: BaseProcess = _FORK.Process(target=_run, args=(act, log))
        # A signal waits until the child is at its work: before, it would hit the storm's own code.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def signal_after(self, seconds: float, number: int) -> None:
        """Wait, and send a signal unless the child has ended by then."""
        self._process.join(seconds)
        if self._process.exitcode is None and self._process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def wait(self) -> Ended:
        """Wait for the end, or kill what is stuck."""
        self._process.join(_PATIENCE)
        status = self._process.exitcode
        if status is None:
            self._process.kill()
            self._process.join()
        return Ended(status, self._log.read_text(errors="replace") if self._log.exists() else "")


def command(*arguments: str) -> Callable[[], int]:
    """A command of the package, as a function for a `Child`."""
    from pc_crvae.cli import main

    def act() -> int:
        return main(arguments)

    return act


def timed(child: Child) -> tuple[Ended, float]:
    """Wait for a child, and return how it ended and after how many seconds."""
    started = time.monotonic()
    return child.wait(), time.monotonic() - started


def _run(act: Callable[[], int], log: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        except KeyboardInterrupt:  # it came before the work began
            os._exit(130)
        try:
            status = act()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 1
        except BaseException:
            traceback.print_exc()
            status = 1
        file.flush()
    os._exit(status)
