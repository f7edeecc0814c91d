"""The curves of a report of robustness: by severity, by elevation of the view, by point count."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from pc_crvae.embedding.names import FEATURES, REPRESENTATIONS
from pc_crvae.evaluation.robustness.conditions import ConditionPart
from pc_crvae.evaluation.robustness.report import AccuracyRow, RobustnessReport
from pc_crvae.visualization.level_plot import LevelCurve, LevelPanel, level_plot

_TITLES = {
    ("occlusion", "in_place"): "occluded, in place",
    ("occlusion", "normalized"): "occluded, normalized",
    ("points", "count"): "points a shape",
}
_AXES = {"corruption": "severity", "occlusion": "elevation of the view", "points": "points"}


def robustness_curves(report: RobustnessReport, path: Path | str) -> None:
    """Draw the curves of a report of robustness, one panel per condition.

    The corruptions start at severity 0, the shapes as they are; shades are a standard deviation
    over the seeds either way.

    Args:
        report: a report that has a part beside ``rotation``.
        path: the picture to write; its suffix chooses the format.

    Raises:
        UserError: the picture could not be written.
    """
    rows = [row for row in report.rows if row.fitted_on == "aligned"]
    conditions = dict.fromkeys((row.part, row.condition) for row in rows if row.part != "rotation")
    level_plot([_panel(rows, part, condition) for part, condition in conditions], path)


def _panel(rows: Sequence[AccuracyRow], part: ConditionPart, condition: str) -> LevelPanel:
    shown = {(part, condition)}
    if part == "corruption":
        shown.add(("rotation", "aligned"))
    curves = []
    for encoder in itertools.product(FEATURES, REPRESENTATIONS.values()):
        own = [
            row
            for row in rows
            if (row.features, row.representation) == encoder and (row.part, row.condition) in shown
        ]
        levels = [row.level for row in own]  # 0 of a rotation
        means, spreads = [row.accuracy_mean for row in own], [row.accuracy_std for row in own]
        curves.append(LevelCurve(" ".join(encoder).replace("_", " "), levels, means, spreads))
    title = _TITLES.get((part, condition), condition.replace("_", " "))
    return LevelPanel(title, _AXES[part], curves, doubling=part == "points")
