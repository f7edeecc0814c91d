"""Corruption errors: those of an encoder over those of a reference, whose errors are 1."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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

_Means = Mapping[tuple[Representation, str, int], float]
"""Mean accuracies by representation, corruption and severity."""


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
    known = _mean_accuracies(report.rows, "trained")
    if not known.keys() >= set(
        itertools.product(REPRESENTATIONS.values(), CORRUPTIONS, SEVERITIES)
    ):
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
    described: ReferenceReport | None = None
    if reference is None:
        against = _mean_accuracies(corrupted, "untrained")
    else:
        against = _mean_accuracies(reference.report.rows, "trained")
        described = ReferenceReport(
            report=str(reference.path), checkpoint=reference.report.checkpoint
        )
    return tuple(
        _errors_over(
            [row for row in corrupted if (row.features, row.representation) == (features, name)],
            {
                which: [against[name, which, severity] for severity in SEVERITIES]
                for which in CORRUPTIONS
            },
            described,
        )
        for features in FEATURES
        for name in REPRESENTATIONS.values()
    )


def _mean_accuracies(rows: Iterable[AccuracyRow], features: Features) -> _Means:
    return {
        (row.representation, row.condition, row.level): row.accuracy_mean
        for row in rows
        if row.part == "corruption" and row.features == features
    }


def _errors_over(
    own: Sequence[AccuracyRow],
    against: Mapping[str, Sequence[float]],
    reference: ReferenceReport | None,
) -> CorruptionErrors:
    """The errors of one encoder's representation; ``against`` has accuracies by severity.

    Those of a corruption are summed over the severities, and over the same sum of the reference.
    """

    def row(**found: Any) -> CorruptionErrors:
        return CorruptionErrors(
            features=own[0].features,
            representation=own[0].representation,
            reference=reference or "untrained",
            **found,
        )

    faultless = [name for name in CORRUPTIONS if min(against[name]) == 1]
    if faultless:
        note = (
            f"the reference makes no error under {', '.join(faultless)}, so that no error can be "
            "measured against it"
        )
        return row(ce=None, mce_mean=None, mce_std=None, mce=None, note=note)
    accuracies = {(row.condition, row.level): row.accuracies for row in own}
    errors = 1 - np.array([[accuracies[which, of] for of in SEVERITIES] for which in CORRUPTIONS])
    of_reference = 1 - np.array([against[which] for which in CORRUPTIONS])
    relative = errors.sum(axis=1) / of_reference.sum(axis=1, keepdims=True)  # by corruption, seed
    mce = relative.mean(axis=0).tolist()
    return row(
        ce=dict(zip(CORRUPTIONS, relative.mean(axis=1).tolist(), strict=True)),
        mce_mean=float(np.mean(mce)),
        mce_std=spread(mce),
        mce=tuple(mce),
    )
