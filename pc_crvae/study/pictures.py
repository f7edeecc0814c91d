"""A study's arms in pictures: their accuracies, and the figures of their evaluations."""

from pathlib import Path

from pc_crvae.study.evaluations import FIGURES
from pc_crvae.study.results import StudySummary
from pc_crvae.visualization.dot_plot import Dots, Panel, dot_plot

_PLOTTED = ("nll", "rate", "consistency_kl", "active_units", "linear_svm", "knn")
_TITLES = {"aligned": "aligned", "z": "turned about z", "so3": "turned by SO(3)"}


def plot_accuracies(summary: StudySummary, path: Path) -> None:
    """Draw one panel per setting and one line per arm: one dot per seed, a bar at their mean.

    Args:
        summary: a summary with at least one arm's rows.
        path: the picture to write.

    Raises:
        ValueError: no arm has rows.
        UserError: the picture could not be written.
    """
    panels: dict[str, list[Dots]] = {}
    for arm in summary.arms:
        for row in arm.rows:
            percent = [100 * share for share in row.of_seeds]
            kind = row.representation.replace("_", " ")
            panels.setdefault(row.setting, []).append(Dots(arm.name, percent, kind))
    axis = f"{summary.split} accuracy, per cent"
    dot_plot([Panel(_TITLES[setting], dots, axis) for setting, dots in panels.items()], path)


def plot_figures(summary: StudySummary, path: Path) -> None:
    """Draw one panel per figure and one line per arm: one dot per seed, a bar at the mean.

    Args:
        summary: a summary with at least one arm's figures.
        path: the picture to write.

    Raises:
        ValueError: no arm has figures.
        UserError: the picture could not be written.
    """
    arms = [(arm.name, arm.figures) for arm in summary.arms if arm.figures]
    panels = []
    for name in _PLOTTED:
        if all(name in figures for _, figures in arms):
            shown = FIGURES[name]
            dots = [
                Dots(arm, [shown.factor * value for value in figures[name].of_seeds])
                for arm, figures in arms
            ]
            panels.append(Panel(", ".join(filter(None, (shown.title, shown.unit))), dots))
    dot_plot(panels, path)
