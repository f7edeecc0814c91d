"""Everything that a run recorded while it trained, a panel a quantity."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator
from numpy.typing import NDArray

from pc_crvae.visualization.curves import Line
from pc_crvae.visualization.pictures import INK, legend_above, panel_figure, quiet_axes

OPENING_SHARE = 0.05
"""The share of the training whose values, large as they are, do not set the scale of a panel."""

_FIRST = ("objective", "log_likelihood", "kl", "consistency", "active_units", "probe_accuracy")
_LAST = ("gradient_norm", "learning_rate", "items_per_second")
_LOGARITHMIC = ("gradient_norm",)
_LINES = {"train": ("#9db4d3", "-"), "validation": ("#c1440e", ".-")}
_COLUMNS = 3
_MOST_POINTS = 400
_LONG_RECORD = 20  # records, of which a twentieth may be set aside
_LARGE = 10_000  # from where numbers at the axes are shortened: 20k


def training_curves(recorded: Mapping[tuple[str, str], Line]) -> Figure | None:
    """Draw each quantity against epochs, training and validation together.

    Args:
        recorded: by split and quantity, against epochs. Long ones are thinned to means of
            neighbouring records.

    Returns:
        The figure; None where nothing is recorded yet.
    """
    names = _ordered({name for split, name in recorded if split in _LINES})
    if not names:
        return None
    figure, axes = panel_figure(len(names), _COLUMNS, (3.5, 2.05), (0, 0.3))
    end = max(line.places[-1] for line in recorded.values())
    for cell, name in zip(axes.flat, names, strict=False):
        cell.set_xlim(0, 1.02 * end or 1)
        _draw(cell, name, {split: recorded.get((split, name)) for split in _LINES})
    drawn = [split for split in _LINES if any(of_split == split for of_split, _ in recorded)]
    styles = [_LINES[split] for split in drawn]
    handles = [axes.flat[0].plot([], [], style, color=color, lw=1.5)[0] for color, style in styles]
    legend_above(figure, handles, drawn, "left", labelcolor=INK)
    return figure


def kl_by_dimension(nats: Sequence[float]) -> Figure:
    """Draw how many nats each latent dimension holds, the fullest first.

    Args:
        nats: (D,), D > 0.
    """
    ordered = np.sort(np.asarray(nats, dtype=np.float64))[::-1]
    figure = Figure(figsize=(10.5, 1.8), layout="constrained")
    cell = figure.add_subplot()
    cell.bar(np.arange(1, len(ordered) + 1), ordered, width=0.8, color="#5b7aa6")
    cell.set_xlabel("latent dimensions, by their KL", color=INK, fontsize=8)
    cell.set_ylabel("nats", color=INK, fontsize=8)
    cell.set_xlim(0.4, len(ordered) + 0.6)
    _style(cell)
    return figure


def _ordered(names: set[str]) -> list[str]:
    known = [name for name in _FIRST if name in names]
    last = [name for name in _LAST if name in names]
    return known + sorted(names - {*known, *last}) + last


def _draw(cell: Axes, name: str, lines: dict[str, Line | None]) -> None:
    settled: list[float] = []
    for split, line in lines.items():
        if line is None:
            continue
        epochs, values = _thinned(line)
        color, style = _LINES[split]
        style = "." if len(epochs) == 1 else style
        cell.plot(epochs, values, style, color=color, lw=1.3, ms=4)
        is_long = len(values) >= _LONG_RECORD
        settled += values[epochs > OPENING_SHARE * epochs[-1]].tolist() if is_long else list(values)
    if name in _LOGARITHMIC and min(settled) > 0:
        cell.set_yscale("log")
    else:
        low, high = min(settled), max(settled)
        margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        cell.set_ylim(low - margin, high + margin)
    if max(map(abs, settled)) >= _LARGE and cell.get_yscale() == "linear":
        cell.yaxis.set_major_formatter(EngFormatter(sep=""))
    # A dollar would start a formula.
    cell.set_title(name.replace("_", " ").replace("$", r"\$"), color=INK, size=9, loc="left")
    _style(cell)


def _thinned(line: Line) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Epochs and values, few enough to be drawn."""
    parts = min(len(line.values), _MOST_POINTS)
    means: list[Any] = [
        [part.mean() for part in np.array_split(np.asarray(numbers, dtype=np.float64), parts)]
        for numbers in (line.places, line.values)
    ]
    return np.array(means[0]), np.array(means[1])


def _style(cell: Axes) -> None:
    cell.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    cell.set_axisbelow(True)
    quiet_axes(cell)
