"""Corruption errors: those of an encoder over those of a reference, whose errors are 1."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.embedding.names import FEATURES, REPRESENTATIONS, Features, Representation
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.metrics.base import spread
from pc_crvae.evaluation.robustness.corruptions import CORRUPTIONS, SEVERITIES
from pc_crvae.evaluation.robustness.report import (
    AccuracyRow,
    CorruptionErrors,
    ReferenceReport,
    RobustnessReport,
)


@dataclass(frozen=True)
class Reference:
    """Whose corruption errors are 1: the trained encoder of another report.

    Attributes:
        path: the path of the report.
        report: what it holds.
    """

    path: Path
    report: RobustnessReport


def read_reference(path: Path) -> Reference:
    """Read the report of another run.

    Raises:
        UserError: it cannot be read, or is no report of robustness with corruptions.
    """
    report = RobustnessReport.read(path)
    wanted = itertools.product(REPRESENTATIONS.values(), CORRUPTIONS, SEVERITIES)
    if not set(wanted) <= {
        (row.representation, row.condition, row.level)
        for row in report.rows
        if row.features == "trained" and row.part == "corruption"
    }:
        raise UserError(
            f"{path} has no corruptions, whose errors are measured against: give a report of "
            "robustness with them"
        )
    return Reference(path, report)


def check_reference(
    reference: Reference, points: int, seeds: Sequence[int], test_sha256: str
) -> None:
    """Refuse a reference that was measured on other shapes.

    Raises:
        UserError: other test shapes, or another count of points or draws of them.
    """
    test, protocol = reference.report.data.test, reference.report.protocol
    if test.sha256 != test_sha256:
        raise UserError(
            f"the reference {reference.path} measured other test shapes ({test.name}): errors of "
            "different shapes are no measure of each other"
        )
    for name, theirs, ours in (
        ("points", protocol.points, points),
        ("seeds", list(protocol.seeds), list(seeds)),
    ):
        if theirs != ours:
            raise UserError(
                f"the reference {reference.path} was measured with other {name} ({theirs}, not "
                f"{ours}): make both alike"
            )


def corruption_errors(
    rows: Iterable[AccuracyRow], reference: Reference | None = None
) -> tuple[CorruptionErrors, ...]:
    """Make a row of each encoder and representation: CE by corruption, and their mean, mCE.

    Each seed's errors are taken over the reference's mean ones, so that its own mCE is 1.

    Args:
        rows: all of a report's accuracies.
        reference: None for the untrained encoder's same representation.
    """
    corrupted = [row for row in rows if row.part == "corruption"]
    if not corrupted:
        return ()
    whose: Features = "untrained"
    against: Sequence[AccuracyRow] = corrupted
    described: ReferenceReport | None = None
    if reference is not None:
        whose = "trained"
        against = reference.report.rows
        described = ReferenceReport(
            report=str(reference.path), checkpoint=reference.report.checkpoint
        )
    return tuple(
        CorruptionErrors(
            features=features,
            representation=name,
            reference=described or "untrained",
            **_relative_errors(
                _accuracies(corrupted, features, name), _accuracies(against, whose, name)
            ),
        )
        for features in FEATURES
        for name in REPRESENTATIONS.values()
    )


def _accuracies(
    rows: Iterable[AccuracyRow], features: Features, representation: Representation
) -> NDArray[np.float64]:
    """Those of an encoder's representation, by corruption, severity and seed."""
    found = {
        (row.part, row.condition, row.level): row.accuracies
        for row in rows
        if (row.features, row.representation) == (features, representation)
    }
    return np.array(
        [[found["corruption", which, of] for of in SEVERITIES] for which in CORRUPTIONS]
    )


def _relative_errors(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> dict[str, Any]:
    """The errors over the reference's mean ones, each corruption's summed over the severities."""
    means = theirs.mean(axis=2)
    faultless = np.array([*CORRUPTIONS])[means.min(axis=1) == 1]
    if len(faultless):
        note = (
            f"the reference makes no error under {', '.join(faultless)}, so that no error can be "
            "measured against it"
        )
        return {"ce": None, "mce_mean": None, "mce_std": None, "mce": None, "note": note}
    of_reference = (1 - means).sum(axis=1, keepdims=True)
    relative = (1 - ours).sum(axis=1) / of_reference  # by corruption, seed
    mce = relative.mean(axis=0).tolist()
    return {
        "ce": dict(zip(CORRUPTIONS, relative.mean(axis=1).tolist(), strict=True)),
        "mce_mean": float(np.mean(mce)),
        "mce_std": spread(mce),
        "mce": tuple(mce),
    }
