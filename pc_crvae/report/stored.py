"""The reports that other commands left beside a model, read for its page."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.predictions import load_predictions, predictions_path
from pc_crvae.models.pretrained import WEIGHTS
from pc_crvae.runs.folder import Run

_MOST_BYTES = 32 << 20
DAMAGE = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What code raises that is given a report of another form than it takes."""


@dataclass(frozen=True)
class Subject:
    """The model that a page is of.

    Attributes:
        folder: what ``--ckpt`` named.
        export: the folder of its weights.
        which: ``last`` or ``best``.
    """

    folder: Path
    export: Path
    which: str

    def command(self, tool: str) -> str:
        """The command that makes the report of a tool."""
        which = " --which best" if self.which == "best" else ""
        return f"python tools/{tool}.py --ckpt {quote(str(self.folder))}{which}"


@dataclass(frozen=True)
class Stored:
    """A report that was found.

    Attributes:
        path: of the file.
        values: what it holds.
        is_stale: it is older than the weights that it is said to be of.
        of_other: the state of the run that it is of, where that is not the page's.
    """

    path: Path
    values: dict[str, Any]
    is_stale: bool
    of_other: str | None

    @property
    def is_current(self) -> bool:
        """Whether it tells of the very model that the page is of."""
        return not self.is_stale and self.of_other is None

    def told(self, tell: Callable[[dict[str, Any]], str]) -> str:
        """What ``tell`` makes of its values.

        Raises:
            UserError: they are not what it takes.
        """
        try:
            return tell(self.values)
        except DAMAGE:
            raise _damaged(self.path) from None


def read_stored(subject: Subject, name: str) -> Stored | None:
    """Read the report ``name`` in the folder of a model; None where there is none.

    Raises:
        UserError: it cannot be read, or is no report.
    """
    path = subject.folder / name
    if not path.exists():
        return None
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _damaged(path)
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise _damaged(path) from None
    if not isinstance(values, dict):
        raise _damaged(path)
    checkpoint = values.get("checkpoint")
    which = checkpoint.get("which") if isinstance(checkpoint, dict) else None
    measured = subject.export
    if which in ("last", "best"):
        measured = subject.folder if which == "last" else Run(subject.folder).best
    weights = measured / WEIGHTS
    if not weights.is_file():
        weights = subject.export / WEIGHTS
    return Stored(
        path,
        values,
        is_stale=path.stat().st_mtime_ns < weights.stat().st_mtime_ns,
        of_other=which if which in ("last", "best") and which != subject.which else None,
    )


def read_guesses(probe: Stored, split: ItemSet) -> dict[str, str] | None:
    """Read what the classifier took test items for that it got wrong, by their ids.

    Args:
        probe: a report of ``tools/probe.py``; the predictions lie beside it.
        split: the test split.

    Returns:
        Of the seeds' answers the commonest; None where the probe was of other items, or no row
        of unturned items was probed.

    Raises:
        UserError: the predictions cannot be read, or are damaged.
    """
    path = predictions_path(probe.path)
    predictions = load_predictions(path)
    rows = [
        name
        for representation in ("posterior_mean", "pooled")
        if (name := f"trained.{representation}.aligned") in predictions.rows
    ]
    if split.labels is None or not rows or predictions.items != split.fingerprint():
        return None
    answers = predictions.rows[rows[0]]  # (S, n)
    is_whole = (
        answers.shape[1:] == split.labels.shape
        and ((answers >= 0) & (answers < len(split.classes))).all()
    )
    if not is_whole:
        raise _damaged(path)
    wrong = {}
    for row in np.flatnonzero((answers != split.labels).any(axis=0)):
        commonest = int(np.bincount(answers[:, row]).argmax())
        if commonest != split.labels[row]:
            wrong[split.ids[row]] = split.classes[commonest]
    return wrong


def _damaged(path: Path) -> UserError:
    return UserError(f"{path} is damaged, or of another version: make it anew")
