"""A web page that scrubs through interpolations in 3D: one file, which needs no network.

Its frame, style and script are the files ``pages`` beside this one; ``balls.js`` draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pc_crvae.visualization.view import as_clouds, ball_on_page, largest_radius, palette_colors
from pc_crvae.visualization.web_page import encoded, write_page


@dataclass(frozen=True)
class InterpolationPath:
    """Clouds along one path between two latents.

    Attributes:
        title: What lies at the two ends, in a few words.
        clouds: One cloud a step, ``(steps, N, 3)``, z up, about the origin.
        labels: One label a step.
        every: So many steps lie from one to the next that a strip of pictures shows; those between
            are for what moves.

    Raises:
        ValueError: The clouds are not ``(steps, N, 3)`` and finite.
    """

    title: str
    clouds: np.ndarray
    labels: Sequence[str]
    every: int = 1

    def __post_init__(self) -> None:
        as_clouds(list(self.clouds))


def interpolation_page(
    paths: Sequence[InterpolationPath], html_path: Path | str, *, title: str = "Interpolation"
) -> None:
    """Write a page with a view that turns, a slider over the steps and a play button.

    The page forbids itself, by its content security policy, to load anything.

    Args:
        paths: The paths to choose from, shown at one scale.
        html_path: The page to write.
        title: The page's title.

    Raises:
        UserError: the page could not be written.
    """
    radius = largest_radius([cloud for path in paths for cloud in path.clouds])
    content = {
        "paths": [_encoded(path, radius) for path in paths],
        "palette": palette_colors(),
    }
    write_page(html_path, __file__, title=title, content=content)


def _encoded(path: InterpolationPath, radius: float) -> dict[str, object]:
    """Return a path with its coordinates (steps, N, 3) in units of ``radius / 32767``, as int16."""
    steps = np.rint(np.asarray(path.clouds) * (32767 / radius)).astype("<i2")
    return {
        "title": path.title,
        "labels": list(path.labels),
        "points": steps.shape[1],
        "ball": ball_on_page(steps.shape[1]),
        "data": encoded(steps),
    }
