"""A plot of cost against the number of points, and how fast it grows."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Rows = list[dict[str, Any]]

SLOPE_FROM = 4096
"""Points that exponents are fitted from."""

_COLORS = {"Chamfer": "#1f5fa8", "kNN": "#c2571a"}


def series_of(rows: Rows) -> dict[str, Rows]:
    """The rows of each operation on each kind of cloud."""
    series: dict[str, Rows] = {}
    for row in rows:
        series.setdefault(f"{row['name']}, {row['cloud']}", []).append(row)
    return series


def slope_of(rows: Rows, key: str = "ours_ms") -> float | None:
    """Exponent of the growth of ``key`` with the number of points, where three sizes show it."""
    shown = [row for row in rows if row.get(key)]
    if len(shown) < 3:
        return None
    large = max([row for row in shown if row["points"] >= SLOPE_FROM], shown[-3:], key=len)
    points, values = zip(*((row["points"], row[key]) for row in large), strict=True)
    return float(np.polyfit(np.log(points), np.log(values), 1)[0])


def scaling_figure(rows: Rows) -> Figure:
    """Draw time and added memory, a line a series."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    time, memory = figure.subplots(1, 2)
    _draw(time, rows, "ours_ms", "reference_ms")
    _draw(memory, rows, "ours_added_mb", "reference_added_mb")
    time.set_ylabel("milliseconds")
    memory.set_ylabel("MB added")
    memory.set_ylim(bottom=0.1)
    return figure


def _draw(axes: Axes, rows: Rows, ours: str, reference: str) -> None:
    for name, of_series in series_of(rows).items():
        color = _COLORS[of_series[0]["name"]]
        collapsed = of_series[0]["cloud"] == "collapsed"
        style = "--" if collapsed else "-"
        axes.plot(*_curve(of_series, ours), style, color=color, marker="o", ms=4)
        _name_last(axes, name, slope_of(of_series, ours))
        if not collapsed:
            axes.plot(*_curve(of_series, reference), ":", color=color, marker="x")
            _name_last(axes, f"{of_series[0]['name']}, textbook", slope_of(of_series, reference))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes := sorted({row["points"] for row in rows}))
    axes.set_xticklabels([f"{size:,}" for size in sizes], rotation=30)
    axes.set_xlabel("points a cloud")
    axes.grid(which="major", color="#dddddd", linewidth=0.6)
    axes.legend(fontsize=8, frameon=False)


def _name_last(axes: Axes, name: str, slope: float | None) -> None:
    label = name if slope is None else f"{name}: $N^{{{slope:.2f}}}$"
    axes.lines[-1].set_label(label)


def _curve(rows: Rows, key: str) -> tuple[list[int], list[float]]:
    shown = [row for row in rows if row.get(key) is not None]
    return [row["points"] for row in shown], [row[key] for row in shown]
