"""What became of the trials of a storm, counted and as a table."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["refused", "same", "silently different", "stuck", "traceback"]
COLUMNS: tuple[Outcome, ...] = ("refused", "same", "silently different", "stuck", "traceback")
HARMLESS: tuple[Outcome, ...] = ("refused", "same")


@dataclass
class Tally:
    """The outcomes of the trials of one kind.

    Attributes:
        kind: the kind of trial, in a few words.
        counts: trials by outcome.
        harmful: a line on each trial that should not have ended as it did.
    """

    kind: str
    counts: Counter[Outcome] = field(default_factory=Counter)
    harmful: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome, about: str) -> None:
        """Count a trial; ``about`` tells it from others, for who looks into it."""
        self.counts[outcome] += 1
        if outcome not in HARMLESS:
            self.harmful.append(f"{self.kind}, {outcome}: {about}")


@dataclass(frozen=True)
class Deadline:
    """A moment that a part of the storm ends at, however many trials are left.

    Attributes:
        at: by `time.monotonic`.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """The moment so many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def is_over(self) -> bool:
        """Whether it is past."""
        return time.monotonic() >= self.at


def table(tallies: list[Tally]) -> str:
    """Return the outcomes as a table in Markdown, a row a kind."""
    heading = ["what", "trials", *(f"{name}s" if name == "traceback" else name for name in COLUMNS)]
    lines = [heading, ["---"] + ["---:"] * (len(heading) - 1)]
    for tally in tallies:
        numbers = [tally.counts.total(), *(tally.counts[name] for name in COLUMNS)]
        lines.append([tally.kind, *(f"{number:,}" for number in numbers)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
