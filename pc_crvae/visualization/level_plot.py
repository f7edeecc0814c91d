"""Curves of accuracy by level, such as the severity of a corruption, one panel per condition."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from pc_crvae.visualization.pictures import INK, legend_above, panel_figure, quiet_axes, save_figure

_COLUMNS = 4
_STYLES = (("#c1440e", "-"), ("#c1440e", "--"), ("#5b7aa6", "-"), ("#5b7aa6", "--"))


@dataclass(frozen=True)
class LevelCurve:
    """One curve of a panel.

    Attributes:
        name: the name that the legend shows.
        levels: (n,), in any order.
        means: (n,) accuracies in [0, 1].
        spreads: (n,) standard deviations, shaded either way.
    """

    name: str
    levels: Sequence[float]
    means: Sequence[float]
    spreads: Sequence[float]


@dataclass(frozen=True)
class LevelPanel:
    """A condition: what its levels are, and the same curves as every panel has, in one order.

    Attributes:
        title: the title of the panel.
        axis: what the levels are.
        curves: the curves, at most four.
        doubling: levels double from one to the next.
    """

    title: str
    axis: str
    curves: Sequence[LevelCurve]
    doubling: bool = False


def level_plot(panels: Sequence[LevelPanel], path: Path | str) -> None:
    """Draw panels, four beside each other.

    Args:
        panels: the panels, at least one.
        path: the picture to write; its suffix chooses the format.

    Raises:
        UserError: the picture could not be written.
    """
    figure, axes = panel_figure(len(panels), _COLUMNS, (2.6, 2.1), (0, 0.4), sharey=True)
    for cell, panel in zip(axes.flat, panels, strict=False):
        _draw(cell, panel)
    for cell in axes[:, 0]:
        cell.set_ylabel("accuracy", color=INK, fontsize=8)
    handles, names = axes.flat[0].get_legend_handles_labels()
    legend_above(figure, handles, names, "center")
    save_figure(figure, path, dpi=110)


def _draw(cell: Axes, panel: LevelPanel) -> None:
    levels = np.array([])
    for curve, (color, style) in zip(panel.curves, _STYLES, strict=False):
        order = np.argsort(curve.levels)
        levels, means, spreads = (
            np.asarray(numbers, dtype=np.float64)[order]
            for numbers in (curve.levels, curve.means, curve.spreads)
        )
        cell.plot(
            levels, means, style, color=color, marker="o", markersize=2.5, lw=1.3, label=curve.name
        )
        cell.fill_between(levels, means - spreads, means + spreads, color=color, alpha=0.15, lw=0)
    cell.set_title(panel.title, color=INK, size=9)
    cell.set_xlabel(panel.axis, color=INK, fontsize=8)
    if panel.doubling:
        cell.set_xscale("log", base=2)
    cell.set_xticks(levels, [f"{level:,.0f}" for level in levels])
    cell.minorticks_off()
    cell.set_ylim(0, 1)
    cell.yaxis.set_major_formatter("{x:.0%}")
    quiet_axes(cell)
