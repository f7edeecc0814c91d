"""A report of robustness as plain text."""

import numpy as np

from pc_crvae.embedding.names import SETTING_TITLES, UNTRAINED_TITLES, title_of
from pc_crvae.evaluation.robustness.conditions import OCCLUSIONS, ConditionPart
from pc_crvae.evaluation.robustness.report import (
    AccuracyRow,
    CorruptionErrors,
    DriftRow,
    RobustnessReport,
)
from pc_crvae.evaluation.tables import Table, with_spread
from pc_crvae.utils.templates import filled

_KNOWN = [*SETTING_TITLES, *OCCLUSIONS, "count"]


def format_robustness(report: RobustnessReport) -> str:
    """Lay a report out as plain text: accuracies in per cent, mean and standard deviation."""
    return filled(
        __file__,
        "report.txt",
        report=report,
        turned=_accuracies(report, "rotation", "turned: training / test shapes"),
        corrupted=_corrupted(report),
        reference=next((errors.reference for errors in report.corruption_errors), None),
        occluded=_accuracies(report, "occlusion", "seen from an elevation"),
        sparse=_accuracies(report, "points", "points a shape"),
        drifted=_drifted(report),
        untrained=UNTRAINED_TITLES[report.protocol.untrained],
    )


def _accuracies(report: RobustnessReport, part: ConditionPart, title: str) -> Table:
    rows = sorted(
        (row for row in report.rows if row.part == part),
        key=lambda row: (_KNOWN.index(row.fitted_on), _KNOWN.index(row.condition), row.level),
    )
    cells = {(title_of(row.features, row.representation), _title(row)): row.shown for row in rows}
    return Table.of_cells(title, cells)


def _corrupted(report: RobustnessReport) -> Table:
    means: dict[tuple[str, str], list[float]] = {}
    for row in report.rows:
        if row.part == "corruption":
            key = title_of(row.features, row.representation), row.condition.replace("_", " ")
            means.setdefault(key, []).append(row.accuracy_mean)
    cells = {key: f"{100 * np.mean(of_levels):.1f}" for key, of_levels in means.items()}
    cells |= {
        (title_of(errors.features, errors.representation), "mCE"): _mce(errors)
        for errors in report.corruption_errors
    }
    return Table.of_cells("corrupted, mean of severities 1 to 5", cells)


def _mce(errors: CorruptionErrors) -> str:
    if errors.mce is None or errors.mce_mean is None:
        return "-"
    return with_spread(errors.mce_mean, errors.mce_std if len(errors.mce) > 1 else None, 3)


def _drifted(report: RobustnessReport) -> Table:
    """Drift of the posterior, its mean over the levels of each condition but counts of points."""
    groups: dict[tuple[str, str], list[DriftRow]] = {}
    for row in report.drift:
        groups.setdefault((_moved_by(row), row.features), []).append(row)
    cells = {}
    for (name, features), rows in groups.items():
        cells[name, f"{features} cosine"] = f"{np.mean([row.cosine for row in rows]):.3f}"
        centered = np.mean([row.centered_cosine for row in rows])
        cells[name, f"{features} centred"] = f"{centered:.3f}"
        kls = [row.kl for row in rows if row.kl is not None]
        cells[name, f"{features} KL (nats)"] = f"{np.mean(kls):,.1f}" if kls else "-"
    return Table.of_cells("drift of the posterior, mean of levels", cells)


def _moved_by(row: DriftRow) -> str:
    if row.part == "points":
        return f"{row.level:,} points"
    if row.part == "rotation":
        return (
            "turned about z"
            if row.condition == "z"
            else f"turned by {SETTING_TITLES[row.condition]}"
        )
    occluded = "occluded, " if row.part == "occlusion" else ""
    return occluded + row.condition.replace("_", " ")


def _title(row: AccuracyRow) -> str:
    if row.part == "rotation":
        return f"{SETTING_TITLES[row.fitted_on]}/{SETTING_TITLES[row.condition]}"
    if row.part == "points":
        return f"{row.level:,}"
    return f"{row.condition.replace('_', ' ')} {row.level}°"
