"""A study's arms in one picture: their accuracies, or the figures of their evaluations."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pc_crvae.study.evaluations import FIGURES
from pc_crvae.visualization.pictures import INK, save_figure

_PLOTTED = ("nll", "rate", "consistency_kl", "active_units", "linear_svm", "knn")
_TITLES = {"aligned": "aligned", "z": "turned about z", "so3": "turned by SO(3)"}
_DOT = "#c1440e"
_COLORS = {"posterior_mean": _DOT, "pooled": "#5b7aa6"}


def plot_accuracies(summary: dict[str, Any], path: Path) -> None:
    """Draw a panel a setting and a line an arm: a dot a seed, a bar at their mean.

    Args:
        summary: as `pc_crvae.study.summary.summarize` makes it, with at least one arm's rows.
        path: the picture to write.

    Raises:
        ValueError: no arm has rows.
        UserError: the picture could not be written.
    """
    arms = [arm for arm in summary["arms"] if arm["rows"]]
    if not arms:
        raise ValueError("no arm of the study has accuracies")
    settings = list(dict.fromkeys(row["setting"] for arm in arms for row in arm["rows"]))
    size = (2.0 + 2.6 * len(settings), 1.2 + 0.42 * len(arms))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, len(settings), squeeze=False, sharey=True)[0]
    for cell, setting in zip(axes, settings, strict=True):
        for place, arm in enumerate(arms):
            for row in arm["rows"]:
                if row["setting"] != setting:
                    continue
                pooled = row["representation"] == "pooled"
                height = place + (0.16 if pooled else -0.16)
                color = _COLORS.get(row["representation"], INK)
                values = 100 * np.array(row["of_seeds"])
                label = row["representation"].replace("_", " ") if place == 0 else None
                heights = np.full(len(values), height)
                cell.plot(values, heights, "o", color=color, ms=4, alpha=0.7, label=label)
                cell.vlines(values.mean(), height - 0.14, height + 0.14, color=color, lw=2)
        cell.set_title(_TITLES[setting], color=INK, size=10)
        cell.set_xlabel(f"{summary['split']} accuracy, per cent", color=INK, fontsize=8)
        _style(cell)
    axes[0].set_yticks(range(len(arms)), [arm["name"] for arm in arms])
    axes[0].invert_yaxis()
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        frameon=False,
        fontsize=8,
    )
    save_figure(figure, path, dpi=110)


def plot_figures(summary: dict[str, Any], path: Path) -> None:
    """Draw a panel a figure of the evaluations and a line an arm: a dot a seed, a bar at the mean.

    Args:
        summary: as `pc_crvae.study.summary.summarize` makes it, with at least one arm's figures.
        path: the picture to write.

    Raises:
        ValueError: no arm has figures.
        UserError: the picture could not be written.
    """
    arms = [arm for arm in summary["arms"] if arm.get("figures")]
    if not arms:
        raise ValueError("no arm of the study has figures")
    names = [name for name in _PLOTTED if all(name in arm["figures"] for arm in arms)]
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(
        figsize=(2.0 + 2.6 * columns, rows * (0.8 + 0.28 * len(arms))), layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for cell, name in zip(grid.flat, names, strict=False):
        shown = FIGURES[name]
        for place, arm in enumerate(arms):
            values = shown.factor * np.array(arm["figures"][name]["of_seeds"])
            cell.plot(values, np.full(len(values), place), "o", color=_DOT, ms=4, alpha=0.7)
            cell.vlines(values.mean(), place - 0.3, place + 0.3, color=_DOT, lw=2)
        _style(cell)
        cell.set_title(", ".join(filter(None, (shown.title, shown.unit))), color=INK, size=9)
    for cell in list(grid.flat)[len(names) :]:
        cell.axis("off")
    grid[0, 0].set_yticks(range(len(arms)), [arm["name"] for arm in arms])
    grid[0, 0].invert_yaxis()
    save_figure(figure, path, dpi=110)


def _style(cell: Axes) -> None:
    cell.tick_params(labelsize=8, labelcolor=INK)
    cell.grid(axis="x", alpha=0.25)
    cell.spines[["top", "right"]].set_visible(False)
