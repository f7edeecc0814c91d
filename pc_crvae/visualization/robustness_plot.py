"""Curves of accuracy: by severity of each corruption, by elevation of the view, by point count."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pc_crvae.visualization.pictures import INK, quiet_axes, save_figure

_COLUMNS = 4
_STYLES = {
    ("trained", "posterior_mean"): ("#c1440e", "-"),
    ("trained", "pooled"): ("#c1440e", "--"),
    ("untrained", "posterior_mean"): ("#5b7aa6", "-"),
    ("untrained", "pooled"): ("#5b7aa6", "--"),
}
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
    panels = list(
        dict.fromkeys(
            (row["part"], row["condition"]) for row in report["rows"] if row["part"] != "rotation"
        )
    )
    if not panels:
        raise ValueError("a report of rotations alone has no curves")
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(2.6 * columns, 2.1 * rows + 0.4), dpi=110, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for cell in axes.flat[len(panels) :]:
        cell.set_axis_off()
    for cell, panel in zip(axes.flat, panels, strict=False):
        _draw_panel(cell, report["rows"], *panel)
    for cell in axes[:, 0]:
        cell.set_ylabel("accuracy", color=INK, fontsize=8)
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    save_figure(figure, path)


def _draw_panel(cell: Axes, rows: Sequence[dict[str, Any]], part: str, condition: str) -> None:
    for (features, representation), (color, style) in _STYLES.items():
        own = [
            row
            for row in rows
            if (row["features"], row["representation"]) == (features, representation)
            and row["fitted_on"] == "aligned"
        ]
        points = [
            (row["level"], row["accuracy_mean"], row["accuracy_std"])
            for row in own
            if (row["part"], row["condition"]) == (part, condition)
        ]
        if part == "corruption":
            points += [
                (0, row["accuracy_mean"], row["accuracy_std"])
                for row in own
                if (row["part"], row["condition"]) == ("rotation", "aligned")
            ]
        levels, means, spreads = np.array(sorted(points)).T
        name = f"{features} {representation.replace('_', ' ')}"
        cell.plot(levels, means, style, color=color, marker="o", markersize=2.5, lw=1.3, label=name)
        cell.fill_between(levels, means - spreads, means + spreads, color=color, alpha=0.15, lw=0)
    cell.set_title(_TITLES.get((part, condition), condition.replace("_", " ")), color=INK, size=9)
    cell.set_xlabel(_AXES[part], color=INK, fontsize=8)
    if part == "points":
        cell.set_xscale("log", base=2)
    cell.set_xticks(levels, [f"{level:,.0f}" for level in levels])
    cell.minorticks_off()
    cell.set_ylim(0, 1)
    cell.yaxis.set_major_formatter("{x:.0%}")
    quiet_axes(cell)
