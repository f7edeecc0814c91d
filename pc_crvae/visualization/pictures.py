"""Pictures by matplotlib, without a display and without pyplot's global state."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from pc_crvae.utils.files import atomic_path
from pc_crvae.visualization import view

INK = "#22223b"
_PALE = "#c9cad6"
_DPI = 150


@dataclass(frozen=True)
class Frame:
    """What of the picture plane every cloud of one picture is seen through, so that scales agree.

    Attributes:
        distance: the distance of the camera from the origin.
        low: (2,) the lower left corner.
        high: (2,) the upper right corner.
    """

    distance: float
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def around(cls, clouds: Sequence[np.ndarray]) -> Self:
        """Return the frame that holds ``clouds``, each (N, 3), and their shadows."""
        distance = view.eye_distance(view.largest_radius(clouds))
        seen = [
            view.project(points, distance)[0]
            for cloud in clouds
            for points in (cloud, _cast(cloud))
        ]
        low = np.min([places.min(axis=0) for places in seen], axis=0)
        high = np.max([places.max(axis=0) for places in seen], axis=0)
        margin = 0.06 * (high - low).max() + 1e-6
        return cls(distance, low - margin, high + margin)

    @property
    def aspect(self) -> float:
        """Height over width, within [0.5, 2]."""
        width, height = self.high - self.low
        return float(np.clip(height / width, 0.5, 2.0))


def draw_cloud(cell: Axes, cloud: np.ndarray, frame: Frame) -> None:
    """Draw a cloud (N, 3) as lit balls coloured by height, and its shadow on the floor."""
    cell.set(xlim=(frame.low[0], frame.high[0]), ylim=(frame.low[1], frame.high[1]), aspect="equal")
    _draw_shadow(cell, _cast(cloud), frame.distance)
    _draw_balls(cell, cloud, frame.distance, view.height_colors(cloud))


def confusion_matrix(
    matrix: np.ndarray, classes: Sequence[str], path: Path | str, *, draws: int = 1
) -> None:
    """Write a picture of a confusion matrix: items, coloured by their share of the row.

    Args:
        matrix: Counts ``(C, C)``; row = true class, column = predicted class.
        classes: The names of the C classes.
        path: The picture to write; its suffix chooses the format.
        draws: How often every item was counted, once a probe seed; the picture shows the mean.

    Raises:
        UserError: The picture could not be written.
    """
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    side = 1.8 + 0.42 * len(classes)
    figure = Figure(figsize=(side + 0.6, side), dpi=_DPI)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xticks(np.arange(len(classes) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(classes) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0, labelsize=8, labelcolor=INK)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("true", color=INK)
    correct, total = np.trace(matrix) / draws, matrix.sum() / draws
    of_draws = f", mean of {draws} probe seeds" if draws > 1 else ""
    share = correct / max(total, 1)
    axes.set_title(f"{correct:.0f} of {total:.0f} right ({share:.1%}){of_draws}", color=INK)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        text = mean_count(matrix[row, column], draws)
        color = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row, text, ha="center", va="center", fontsize=7, color=color)
    bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02, format="{x:.0%}")
    bar.outline.set_visible(False)
    bar.set_label("share of the true class", color=INK)
    bar.ax.tick_params(length=0, labelsize=8, labelcolor=INK)
    save_figure(figure, path, bbox_inches="tight", pad_inches=0.1)


def _cast(cloud: np.ndarray) -> np.ndarray:
    """Return the cloud pressed onto the floor, at the height of its lowest point."""
    pressed: np.ndarray = cloud * [1, 1, 0] + [0, 0, cloud[:, 2].min()]
    return pressed


def _draw_shadow(axes: Axes, points: np.ndarray, distance: float) -> None:
    """Draw what the cloud would cast on the floor under a light straight above."""
    places, magnification = view.project(points, distance)
    widths = 6 * view.point_radius(len(points)) * magnification
    heights = widths * np.sin(np.radians(view.ELEVATION_DEGREES))
    axes.add_collection(_ellipses(axes, places, widths, heights, [(0.1, 0.1, 0.25, 0.016)]))


def _draw_balls(axes: Axes, points: np.ndarray, distance: float, colors: np.ndarray) -> None:
    """Draw points as small lit balls, the far ones first: a dark rim, a body, a highlight."""
    places, magnification = view.project(points, distance)
    order = np.argsort(magnification)
    places, magnification, colors = places[order], magnification[order], colors[order]
    diameters = 2 * view.point_radius(len(points)) * magnification

    nearness = (magnification - magnification.min()) / max(np.ptp(magnification), 1e-6)
    haze = 0.45 * (1 - nearness[:, None])
    body = colors * (1 - haze) + haze
    towards_light = np.array([-0.18, 0.2]) * diameters[:, None]
    layers = [  # place, diameter, colour: interleaved, so that a nearer ball hides a farther one
        (places, diameters, 0.62 * body),
        (places + 0.3 * towards_light, 0.84 * diameters, body),
        (places + towards_light, 0.4 * diameters, 0.6 * body + 0.4),
    ]
    centres, widths, faces = (
        np.stack(values, axis=1).reshape(3 * len(points), *values[0].shape[1:])
        for values in zip(*layers, strict=True)
    )
    axes.add_collection(_ellipses(axes, centres, widths, widths, faces))


def _ellipses(
    axes: Axes, centres: np.ndarray, widths: np.ndarray, heights: np.ndarray, colors: object
) -> EllipseCollection:
    """Return filled ellipses measured in the units of the picture plane."""
    return EllipseCollection(
        widths,
        heights,
        np.zeros(len(centres)),
        units="xy",
        offsets=centres,
        offset_transform=axes.transData,
        facecolors=colors,
        linewidths=0,
    )


def panel_figure(
    count: int,
    most_columns: int,
    size: tuple[float, float],
    around: tuple[float, float],
    *,
    sharey: bool = False,
) -> tuple[Figure, np.ndarray]:
    """Return a figure of panels, and its axes ``(rows, columns)``; those of no panel are off.

    Args:
        count: the number of panels.
        most_columns: side by side.
        size: the size of a panel, in inches.
        around: them all, in inches.
        sharey: whether all have one vertical axis.
    """
    columns = min(most_columns, count)
    rows = -(-count // columns)
    shape = size[0] * columns + around[0], size[1] * rows + around[1]
    figure = Figure(figsize=shape, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    for cell in axes.flat[count:]:
        cell.set_axis_off()
    return figure, axes


def legend_above(
    figure: Figure, handles: Sequence[Any], names: Sequence[str], side: str, **options: object
) -> None:
    """Name what is drawn in a line above all panels, at a side of it or in its center."""
    options |= {"loc": f"outside upper {side}", "frameon": False, "fontsize": 8}
    figure.legend(handles, names, ncols=len(names), **options)


def quiet_axes(cell: Axes) -> None:
    """Give a small panel pale axes left and below, and lines across at its ticks."""
    cell.tick_params(which="both", labelsize=7, labelcolor=INK, color=_PALE)
    cell.spines[["top", "right"]].set_visible(False)
    cell.spines[["left", "bottom"]].set_color(_PALE)
    cell.grid(axis="y", color="#e7e8ee", linewidth=0.8)


def mean_count(summed: int, draws: int) -> str:
    """How many items a cell has in the mean, with a decimal where that is no whole number."""
    return f"{summed // draws}" if summed % draws == 0 else f"{summed / draws:.1f}"


def save_figure(figure: Figure, path: Path | str, **options: object) -> None:
    """Write a figure, drawn by Agg, with the ``options`` of matplotlib's ``print_figure``."""
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).print_figure(temporary, **options)
