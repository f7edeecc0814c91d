"""The accuracies of a study's arms in one picture."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pc_crvae.visualization.pictures import INK, save_figure

_TITLES = {"aligned": "aligned", "z": "turned about z", "so3": "turned by SO(3)"}
_COLORS = {"posterior_mean": "#c1440e", "pooled": "#5b7aa6"}


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
        cell.tick_params(labelsize=8, labelcolor=INK)
        cell.grid(axis="x", alpha=0.25)
        cell.spines[["top", "right"]].set_visible(False)
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
