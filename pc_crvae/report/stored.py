"""The reports that other commands left beside a model, read for its page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

import numpy as np

from pc_crvae.data.items import ItemSet
from pc_crvae.evaluation.generation.report import GenerationReport
from pc_crvae.evaluation.images.report import ImageReport
from pc_crvae.evaluation.probe.predictions import load_predictions, predictions_path
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.reports import damaged, is_of_weights
from pc_crvae.evaluation.robustness.report import RobustnessReport
from pc_crvae.models.exports import WEIGHTS
from pc_crvae.runs.folder import Run
from pc_crvae.utils.invocation import called

R = TypeVar("R", ProbeReport, RobustnessReport, GenerationReport, ImageReport)


@dataclass(frozen=True)
class Subject:
    """The model that a page is of.

    Attributes:
        folder: the folder that commands leave their reports of it in.
        export: the folder of its weights.
        which: the state of the run that the folder holds.
        ckpt: the path that ``--ckpt`` named; None where it is the folder.
    """

    folder: Path
    export: Path
    which: Literal["last", "best"]
    ckpt: Path | None = None

    def command(self, tool: str) -> str:
        """The command that makes the report of a tool."""
        which = ("--which", "best") if self.which == "best" else ()
        return called(tool, "--ckpt", self.ckpt or self.folder, *which)


@dataclass(frozen=True)
class Stored(Generic[R]):
    """A report that was found.

    Attributes:
        path: the path of the file.
        report: what it holds.
        outdated: why it tells nothing of the model that the page is of, a sentence; or nothing.
    """

    path: Path
    report: R
    outdated: str

    @property
    def is_current(self) -> bool:
        """Whether it tells of the very model that the page is of."""
        return not self.outdated


def read_stored(subject: Subject, name: str, kind: type[R]) -> Stored[R] | None:
    """Read the report ``name`` in the folder of a model; None where there is none.

    Raises:
        UserError: it cannot be read, or is no report of the kind.
    """
    path = subject.folder / name
    if not path.exists():
        return None
    report = kind.read(path)
    which = None if report.checkpoint is None else report.checkpoint.which
    run = Run(subject.folder)
    measured = {"last": run.export(), "best": run.best, None: subject.export}[which]
    if not (measured / WEIGHTS).is_file():
        measured = subject.export
    outdated = ""
    if not is_of_weights(report.checkpoint, path, measured):
        outdated = f"Stale: {name} is older than the model's weights."
    elif which not in (None, subject.which):
        outdated = (
            f"{name} measures the {which} state, and this page shows the {subject.which} one."
        )
    return Stored(path, report, outdated)


def read_misclassified(probe: Stored[ProbeReport], split: ItemSet) -> dict[str, str] | None:
    """Read what the classifier took test items for that it got wrong, by their ids.

    Args:
        probe: the report; the predictions lie beside it.
        split: the test split.

    Returns:
        Of the seeds' answers the commonest; None where the probe was of other items, or no row
        of items as they are was probed.

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
        raise damaged(path)
    wrong = {}
    for row in np.flatnonzero((answers != split.labels).any(axis=0)):
        commonest = int(np.bincount(answers[:, row]).argmax())
        if commonest != split.labels[row]:
            wrong[split.ids[row]] = split.classes[commonest]
    return wrong
