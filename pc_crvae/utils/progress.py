"""What a long job shows: live lines with time left, or plain lines without a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text


def items_bar(console: Console, *, transient: bool = False) -> Progress:
    """Return a bar of items done and the time left, which shows on a terminal alone.

    Args:
        console: where the lines go.
        transient: the bar is gone once all is done.
    """
    columns = BarColumn(), MofNCompleteColumn()
    return _bar(console, *columns, disable=not console.is_terminal, transient=transient)


def download_bar(console: Console) -> Progress:
    """Return a bar of bytes that have come, how fast, and the time left, on a terminal alone."""
    columns = BarColumn(bar_width=16), DownloadColumn(), TransferSpeedColumn()
    return _bar(console, *columns, disable=not console.is_terminal)


def _bar(console: Console, *columns: ProgressColumn, **options: Any) -> Progress:
    described, left = TextColumn("{task.description}"), TextColumn("left")
    return Progress(described, *columns, left, TimeRemainingColumn(), console=console, **options)


def spinner(console: Console) -> Progress:
    """Return what shows, on a terminal alone, that a job without parts is at work, and how long.

    Args:
        console: where the line goes, which is gone once all is done.
    """
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def hours_minutes_seconds(seconds: int) -> str:
    """Write a time as in ``2:05:09``."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


class TrainingProgress:
    """Steps done of a run's total.

    Args:
        total: optimiser steps of the whole run.
        done: steps done before, by the run resumed from.
        quiet: show nothing (all processes but the first).
    """

    def __init__(self, total: int, done: int, *, quiet: bool = False) -> None:
        self.console = Console(quiet=quiet, highlight=False)
        self._total = total
        self._first = self._done = done
        self._started = time.monotonic()
        speed = TextColumn("{task.fields[speed]}")
        columns = BarColumn(bar_width=16), MofNCompleteColumn(), speed
        self._bar = _bar(self.console, *columns, auto_refresh=False)
        self._task = self._bar.add_task("training", total=total, completed=done, speed="")
        self._terms = Text(no_wrap=True, overflow="ellipsis")

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the live lines while the block runs."""
        if self.console.quiet or not self.console.is_terminal:
            yield
            return
        with Live(Group(self._bar, self._terms), console=self.console, refresh_per_second=2):
            yield

    def advance(self) -> None:
        """One step is done."""
        self._done += 1
        self._bar.advance(self._task)

    def show(self, description: str, terms: dict[str, float], items_per_second: float) -> None:
        """Update the live lines: where training is, how fast it goes, and its mean terms."""
        speed = f"{items_per_second:.0f} items/s"
        self._bar.update(self._task, description=description, speed=speed)
        # Those of the second pass go last: they are what a narrow terminal cuts off.
        names = sorted(terms, key=lambda name: "/" in name)
        self._terms.plain = "  ".join(f"{name} {terms[name]:.4g}" for name in names)

    def say(self, text: str) -> None:
        """Print a line above the live ones."""
        self.console.print(text, markup=False, soft_wrap=True)

    def time_left(self) -> str:
        """Time left at the mean pace so far, as hours, minutes and seconds."""
        pace = (time.monotonic() - self._started) / max(1, self._done - self._first)
        return hours_minutes_seconds(round(pace * (self._total - self._done)))
