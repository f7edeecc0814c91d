"""Curves of several runs in one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from pc_crvae.visualization.pictures import INK, save_figure

_COLORS = ("#2b6ca3", "#c7522a", "#3f8f5f", "#8a5aa8", "#b8892b", "#5a6672")


@dataclass(frozen=True)
class Line:
    """Values recorded one after the other.

    Attributes:
        places: (n,) where: minutes or epochs of training.
        values: (n,).
        name: the name that the legend shows.
    """

    places: Sequence[float]
    values: Sequence[float]
    name: str = ""


def plot_curves(lines: Sequence[Line], quantity: str, path: Path) -> None:
    """Draw a quantity against minutes of training, one line per run.

    Args:
        lines: the lines of the same quantity, against minutes.
        quantity: what stands at the axis.
        path: a PNG, SVG or PDF file.
    """
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for place, line in enumerate(lines):
        color = _COLORS[place % len(_COLORS)]
        axes.plot(line.places, line.values, color=color, label=line.name, linewidth=1.6)
        axes.plot(line.places[-1], line.values[-1], "o", color=color, markersize=5)
    axes.set_xlabel("minutes of training", color=INK)
    axes.set_ylabel(quantity.replace("_", " "), color=INK)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save_figure(figure, path, dpi=110)
