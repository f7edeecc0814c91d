"""A web page that scrubs through interpolations in 3D: one file, which needs no network.

Its frame, style and script are the files ``pages`` beside this one.
"""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
from matplotlib.colors import to_hex
from scipy.spatial import ConvexHull

from pc_crvae.errors import MissingPackageError
from pc_crvae.visualization.view import PALETTE, as_clouds, largest_radius, point_radius, view_axes
from pc_crvae.visualization.web_page import json_element, read_asset, write_page

_CAMERA_DISTANCE = 1.2  # in plotly's units, where the scene's cube has side 1


@dataclass(frozen=True)
class InterpolationPath:
    """Clouds along one path between two latents.

    Attributes:
        title: What lies at the two ends, in a few words.
        clouds: One cloud a step, ``(steps, N, 3)``, z up, about the origin.
        labels: One label a step.

    Raises:
        ValueError: The clouds are not ``(steps, N, 3)`` and finite, or the labels are not one
            a step.
    """

    title: str
    clouds: np.ndarray
    labels: Sequence[str]

    def __post_init__(self) -> None:
        as_clouds(list(self.clouds))
        if len(self.labels) != len(self.clouds):
            raise ValueError(f"expected {len(self.clouds)} labels, got {len(self.labels)}")


def interpolation_page(
    paths: Sequence[InterpolationPath], html_path: Path | str, *, title: str = "Interpolation"
) -> None:
    """Write a page with a draggable 3D view, a slider over the steps and a play button.

    The page embeds plotly.js and forbids itself, by its content security policy, to load
    anything else.

    Args:
        paths: The paths to choose from, shown at one scale.
        html_path: The page to write.
        title: The page's title.

    Raises:
        ValueError: There are no paths.
        MissingPackageError: plotly is not installed.
        UserError: the page could not be written.
    """
    if not paths:
        raise ValueError("expected at least one path, got none")
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingPackageError(
            f'{html_path} needs plotly: install it by pip install "pc-crvae[viz]"'
        ) from error
    radius = largest_radius([cloud for path in paths for cloud in path.clouds])
    content = {
        "paths": [_encoded(path, radius) for path in paths],
        "figure": _figure(radius),
    }
    body = Template(read_asset(__file__, "html")).substitute(
        title=html.escape(title),
        plotly=get_plotlyjs(),
        content=json_element("content", content),
        script=read_asset(__file__, "js"),
    )
    write_page(
        html_path,
        title,
        style=read_asset(__file__, "css"),
        body=body,
        allowed=(
            "script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
            "img-src data: blob:"
        ),
    )


def _encoded(path: InterpolationPath, radius: float) -> dict[str, object]:
    """Return a path with its coordinates in units of ``radius / 32767``, as base64 int16.

    The order is (steps, 3, N), so that each coordinate of a step is one contiguous array.
    """
    steps = np.rint(np.asarray(path.clouds).transpose(0, 2, 1) * (32767 / radius)).astype("<i2")
    return {
        "title": path.title,
        "labels": list(path.labels),
        "points": steps.shape[2],
        "ballRadius": point_radius(steps.shape[2]),
        "data": base64.b64encode(steps.tobytes()).decode("ascii"),
    }


def _figure(radius: float) -> dict[str, object]:
    """Return the trace (without its points), layout and options of the 3D view."""
    reach = 1.06 * radius  # the balls reach a little beyond their points
    axis = {"visible": False, "range": [-reach, reach], "autorange": False}
    eye = dict(zip("xyz", (_CAMERA_DISTANCE * view_axes()[2]).tolist(), strict=True))
    stops = np.linspace(0, 1, 9)
    return {
        "radius": radius,
        "ball": _icosahedron(),
        "trace": {
            "type": "mesh3d",
            "hoverinfo": "skip",
            "showscale": False,
            "flatshading": False,
            "colorscale": [[stop, to_hex(PALETTE(stop))] for stop in stops.tolist()],
            "lighting": {"ambient": 0.55, "diffuse": 0.75, "specular": 0.25, "roughness": 0.45},
            "lightposition": {"x": -20000, "y": -20000, "z": 40000},
        },
        "layout": {
            "uirevision": "keep the camera",
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
            "paper_bgcolor": "white",
            "scene": {
                "aspectmode": "cube",
                "dragmode": "orbit",
                "xaxis": axis,
                "yaxis": axis,
                "zaxis": axis,
                "camera": {"eye": eye, "up": {"x": 0, "y": 0, "z": 1}},
            },
        },
        "config": {"responsive": True, "displaylogo": False, "displayModeBar": False},
    }


def _icosahedron() -> dict[str, object]:
    """Return the corners (12, 3), of length 1, and outward faces (20, 3) of an icosahedron."""
    golden = (1 + np.sqrt(5)) / 2
    corners = np.array(
        [
            np.roll([0, first, second * golden], shift)
            for shift in range(3)
            for first in (-1, 1)
            for second in (-1, 1)
        ]
    )
    corners /= np.linalg.norm(corners[0])
    faces = ConvexHull(corners).simplices
    inward = np.linalg.det(corners[faces]) < 0
    faces[inward] = faces[inward, ::-1]
    return {"corners": corners.tolist(), "faces": faces.tolist()}
