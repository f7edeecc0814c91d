"""A report of robustness as plain text."""

import numpy as np

from pc_crvae.embedding.names import (
    FEATURES,
    REPRESENTATIONS,
    SETTING_TITLES,
    UNTRAINED_TITLES,
)
from pc_crvae.evaluation.probe.metrics.base import per_cent
from pc_crvae.evaluation.robustness.conditions import OCCLUSIONS, ConditionPart
from pc_crvae.evaluation.robustness.corruptions import CORRUPTIONS
from pc_crvae.evaluation.robustness.report import (
    AccuracyRow,
    CorruptionErrors,
    DriftRow,
    RobustnessReport,
)
from pc_crvae.evaluation.text_table import align

_KNOWN = [*SETTING_TITLES, *OCCLUSIONS, "count"]


def format_robustness(report: RobustnessReport) -> str:
    """Lay a report out as plain text: accuracies in per cent, mean and standard deviation."""
    parts = {row.part for row in report.rows}
    sections = [_accuracy_section(report, "rotation", "turned: training / test shapes")]
    if "corruption" in parts:
        sections.append(_corruption_section(report))
    if "occlusion" in parts:
        sections.append(_accuracy_section(report, "occlusion", "seen from an elevation"))
    if "points" in parts:
        sections.append(_accuracy_section(report, "points", "points a shape"))
    sections.append(_drift_section(report))
    sections.append(f"untrained: {UNTRAINED_TITLES[report.protocol.untrained]}")
    return "\n\n".join(section for section in sections if section)


def _accuracy_section(report: RobustnessReport, part: ConditionPart, title: str) -> str:
    rows = [row for row in report.rows if row.part == part]
    columns = {(row.fitted_on, row.condition, row.level): row for row in rows}
    ordered = sorted(
        columns, key=lambda column: (_KNOWN.index(column[0]), _KNOWN.index(column[1]), column[2])
    )
    cells = {
        (row.features, row.representation, row.fitted_on, row.condition, row.level): per_cent(
            row.accuracy_mean, row.accuracy_std, len(row.accuracies)
        )
        for row in rows
    }
    lines = [
        [_name(features, name), *(cells[(features, name, *column)] for column in ordered)]
        for features in FEATURES
        for name in REPRESENTATIONS.values()
    ]
    return align([[title, *(_title(columns[column]) for column in ordered)], *lines])


def _corruption_section(report: RobustnessReport) -> str:
    lines = []
    for errors in report.corruption_errors:
        encoder = errors.features, errors.representation
        means = [
            np.mean(
                [
                    row.accuracy_mean
                    for row in report.rows
                    if (row.part, row.condition) == ("corruption", name)
                    and (row.features, row.representation) == encoder
                ]
            )
            for name in CORRUPTIONS
        ]
        lines.append([_name(*encoder), *(f"{100 * mean:.1f}" for mean in means), _mce(errors)])
    titles = [name.replace("_", " ") for name in CORRUPTIONS]
    reference = report.corruption_errors[0].reference
    against = (
        "the untrained encoder's same representation"
        if reference == "untrained"
        else f"the trained encoder of {reference.report}"
    )
    notes = {errors.note: None for errors in report.corruption_errors if errors.note is not None}
    return "\n".join(
        [
            align([["corrupted, mean of severities 1 to 5", *titles, "mCE"], *lines]),
            f"mCE: mean corruption error, 1 for {against}; less is better",
            *notes,
        ]
    )


def _mce(errors: CorruptionErrors) -> str:
    if errors.mce is None:
        return "-"
    spread = f" ± {errors.mce_std:.3f}" if len(errors.mce) > 1 else ""
    return f"{errors.mce_mean:.3f}{spread}"


def _drift_section(report: RobustnessReport) -> str:
    """Drift of the posterior, its mean over the levels of each condition but counts of points."""
    groups: dict[str, list[DriftRow]] = {}
    for row in report.drift:
        groups.setdefault(_moved_by(row), []).append(row)
    if not groups:
        return ""
    lines = []
    for name, of_group in groups.items():
        cells = []
        for features in FEATURES:
            rows = [row for row in of_group if row.features == features]
            cells.append(f"{np.mean([row.cosine for row in rows]):.3f}")
            cells.append(f"{np.mean([row.centered_cosine for row in rows]):.3f}")
            kls = [row.kl for row in rows if row.kl is not None]
            cells.append(f"{np.mean(kls):,.1f}" if kls else "-")
        lines.append([name, *cells])
    titles = [
        f"{features} {what}" for features in FEATURES for what in ("cosine", "centred", "KL (nats)")
    ]
    return align([["drift of the posterior, mean of levels", *titles], *lines])


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


def _name(features: str, representation: str) -> str:
    return f"{features} {representation.replace('_', ' ')}"


def _title(row: AccuracyRow) -> str:
    if row.part == "rotation":
        return f"{SETTING_TITLES[row.fitted_on]}/{SETTING_TITLES[row.condition]}"
    if row.part == "points":
        return f"{row.level:,}"
    return f"{row.condition.replace('_', ' ')} {row.level}°"
