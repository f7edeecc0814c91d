"""The curves of a report of robustness: by severity, by elevation of the view, by point count."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pc_crvae.visualization.level_plot import LevelCurve, LevelPanel, level_plot

_DRAWN = [
    (features, representation)
    for features in ("trained", "untrained")
    for representation in ("posterior_mean", "pooled")
]
_TITLES = {
    ("occlusion", "in_place"): "occluded, in place",
    ("occlusion", "normalized"): "occluded, normalized",
    ("points", "count"): "points a shape",
}
_AXES = {"corruption": "severity", "occlusion": "elevation of the view", "points": "points"}


def robustness_curves(report: dict[str, Any], path: Path | str) -> None:
    """Draw the curves of a report of robustness, a panel a condition.

    The corruptions start at severity 0, the shapes as they are; shades are a standard deviation
    over the seeds either way.

    Args:
        report: as `pc_crvae.evaluation.robustness.run.run_robustness` makes it, with a part beside
            ``rotation``.
        path: the picture to write; its suffix chooses the format.

    Raises:
        ValueError: the report has nothing with levels.
        UserError: the picture could not be written.
    """
    rows = [row for row in report["rows"] if row["fitted_on"] == "aligned"]
    conditions = dict.fromkeys(
        (row["part"], row["condition"]) for row in rows if row["part"] != "rotation"
    )
    if not conditions:
        raise ValueError("a report of rotations alone has no curves")
    level_plot([_panel(rows, part, condition) for part, condition in conditions], path)


def _panel(rows: Sequence[dict[str, Any]], part: str, condition: str) -> LevelPanel:
    curves = []
    for features, representation in _DRAWN:
        own = [
            (0 if row["part"] == "rotation" else row["level"], row)
            for row in rows
            if (row["features"], row["representation"]) == (features, representation)
            and (
                (row["part"], row["condition"]) == (part, condition)
                or (part, row["part"], row["condition"]) == ("corruption", "rotation", "aligned")
            )
        ]
        curves.append(
            LevelCurve(
                f"{features} {representation.replace('_', ' ')}",
                [level for level, _ in own],
                [row["accuracy_mean"] for _, row in own],
                [row["accuracy_std"] for _, row in own],
            )
        )
    title = _TITLES.get((part, condition), condition.replace("_", " "))
    return LevelPanel(title, _AXES[part], curves, doubling=part == "points")
