"""Values of things under several conditions: one panel per condition, one line per thing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from pc_crvae.visualization.pictures import INK, legend_above, panel_figure, save_figure

_COLORS = ("#c1440e", "#5b7aa6", INK)
_COLUMNS = 3
_HALF_BAR = 0.3  # of the bar at a mean, in lines


@dataclass(frozen=True)
class Dots:
    """Values on one line of a panel.

    Attributes:
        line: the line's name.
        values: one a dot.
        kind: what they are, for the legend; kinds of a line lie one above the other.
    """

    line: str
    values: Sequence[float]
    kind: str = ""


@dataclass(frozen=True)
class Panel:
    """A title, dots, and what stands at the axis below them."""

    title: str
    dots: Sequence[Dots]
    axis: str = ""


def dot_plot(panels: Sequence[Panel], path: Path) -> None:
    """Draw panels, at most three beside each other: a dot a value, and a bar at their mean.

    Args:
        panels: at least one with dots. Lines and kinds are in the order in which they occur.
        path: the picture to write.

    Raises:
        ValueError: there are no dots.
        UserError: the picture could not be written.
    """
    dots = [one for panel in panels for one in panel.dots]
    if not dots:
        raise ValueError("a plot of dots needs at least one")
    lines = list(dict.fromkeys(one.line for one in dots))
    kinds = list(dict.fromkeys(one.kind for one in dots))
    height = 0.8 + (0.14 + 0.14 * len(kinds)) * len(lines)
    figure, axes = panel_figure(len(panels), _COLUMNS, (2.6, height), (2.0, 0.4), sharey=True)
    for cell, panel in zip(axes.flat, panels, strict=False):
        for one in panel.dots:
            _draw(cell, one, lines.index(one.line), kinds.index(one.kind), len(kinds))
        cell.set_title(panel.title, color=INK, size=9)
        cell.set_xlabel(panel.axis, color=INK, fontsize=8)
        cell.tick_params(labelsize=8, labelcolor=INK)
        cell.grid(axis="x", alpha=0.25)
        cell.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_yticks(range(len(lines)), lines)
    axes[0, 0].invert_yaxis()
    if len(kinds) > 1:
        colors = map(_color, range(len(kinds)))
        handles = [axes[0, 0].plot([], [], "o", color=color, ms=4)[0] for color in colors]
        legend_above(figure, handles, kinds, "center")
    save_figure(figure, path, dpi=110)


def _color(kind: int) -> str:
    return _COLORS[min(kind, len(_COLORS) - 1)]


def _draw(cell: Axes, dots: Dots, line: int, kind: int, kinds: int) -> None:
    half = _HALF_BAR / kinds
    height = line + (2 * kind + 1 - kinds) * half
    color = _color(kind)
    values = np.asarray(dots.values, dtype=np.float64)
    cell.plot(values, np.full(len(values), height), "o", color=color, ms=4, alpha=0.7)
    cell.vlines(values.mean(), height - 0.9 * half, height + 0.9 * half, color=color, lw=2)
