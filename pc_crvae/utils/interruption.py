"""Letting SIGINT and SIGTERM end a long job between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):  # noqa: N818 - an event, not an error
    """A job was asked to stop, and stopped with its work saved.

    Args:
        signal_number: what asked; the exit status is 128 plus it, as shells expect.
        message: what was saved and how to go on.
    """

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class Interruption:
    """Which signal has asked for a stop; 0 while none has."""

    signal_number: int = 0


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
