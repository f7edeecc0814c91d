"""What a long job shows: a live line with time left, or plain lines where there is no terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


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
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[terms]}"),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=total, completed=done, terms="")

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the live line while the block runs."""
        with self._bar:
            yield

    def advance(self) -> None:
        """One step is done."""
        self._done += 1
        self._bar.advance(self._task)

    def show(self, description: str, terms: dict[str, float], clouds_per_second: float) -> None:
        """Update the live line's text."""
        text = " ".join(f"{name.rsplit('/')[-1]} {value:.4g}" for name, value in terms.items())
        self._bar.update(
            self._task, description=description, terms=f"{clouds_per_second:.0f}/s {text}"
        )

    def say(self, text: str) -> None:
        """Print a line above the live one."""
        self.console.print(text, markup=False, soft_wrap=True)

    def time_left(self) -> str:
        """Time left at the mean pace so far, as h:mm:ss."""
        pace = (time.monotonic() - self._started) / max(1, self._done - self._first)
        seconds = round(pace * (self._total - self._done))
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
