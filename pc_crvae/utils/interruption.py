"""Letting SIGINT and SIGTERM end a long job between two steps, and SIGINT none within an import."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):  # noqa: N818 - an event, not an error
    """A job was asked to stop, and stopped with its work saved.

    Args:
        signal_number: the signal that asked; the exit status is 128 plus it, as shells expect.
        message: what was saved and how to go on.
    """

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number


_SECONDS_BETWEEN_LOOKS = 0.2


class Interruption:
    """Which signal has asked for a stop; 0 while none has."""

    signal_number: int = 0

    def wait(self) -> None:
        """Return once a signal has asked, also where it came before."""
        while not self.signal_number:
            time.sleep(_SECONDS_BETWEEN_LOOKS)


@contextmanager
def listen_for_interruption() -> Iterator[Interruption]:
    """Note SIGINT and SIGTERM instead of dying; a second one acts at once, as usual."""
    interruption = Interruption()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        interruption.signal_number = number
        restore()

    for number in previous:
        signal.signal(number, note)
    try:
        yield interruption
    finally:
        restore()


@contextmanager
def no_interrupt_within_imports() -> Iterator[None]:
    """Let a SIGINT that comes while a module is imported wait until the import has ended.

    Modules written in C do not expect an exception while they are made: some turn it into an
    `ImportError`, some end the process. Nothing changes outside the main thread, or where SIGINT
    has a handler of the caller's.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _is_importing(frame):
            again = threading.Timer(_SECONDS_TO_WAIT, signal.raise_signal, args=(number,))
            again.daemon = True  # the process may end before
            again.start()
        else:
            signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


_SECONDS_TO_WAIT = 0.05


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
