"""A web page that scrubs through interpolations in 3D: one file, which needs no network."""

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
from pc_crvae.visualization.web_page import json_element, write_page

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
    body = Template(_BODY).substitute(
        title=html.escape(title),
        plotly=get_plotlyjs(),
        content=json_element("content", content),
    )
    write_page(
        html_path,
        title,
        style=_STYLE,
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


_STYLE = """
  html, body { height: 100%; margin: 0; }
  body { display: flex; flex-direction: column; color: #22223b; background: white;
         font: 15px/1.4 system-ui, sans-serif; }
  header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 8px 24px;
           padding: 14px 24px; }
  h1 { margin: 0; font-size: 19px; font-weight: 600; }
  select, button { font: inherit; color: inherit; padding: 5px 12px; background: #f4f5fa;
                   border: 1px solid #c9cbdc; border-radius: 7px; }
  select { max-width: 30em; }
  small { color: #74769a; }
  #view { flex: 1; min-height: 0; }
  footer { display: flex; align-items: center; gap: 16px; padding: 10px 24px 20px; }
  #play { min-width: 5.5em; cursor: pointer; }
  #step { flex: 1; min-width: 0; accent-color: #2f67b1; }
  #label { min-width: 9em; text-align: right; font-variant-numeric: tabular-nums; }
"""

_BODY = """<script>$plotly</script>
<header>
  <h1>$title</h1>
  <select id="path" aria-label="path"></select>
  <small>drag to turn, scroll to zoom</small>
</header>
<div id="view"></div>
<footer>
  <button id="play" type="button">Play</button>
  <input id="step" type="range" min="0" value="0" step="1" aria-label="step">
  <output id="label"></output>
</footer>
$content
<script>
"use strict";
const element = id => document.getElementById(id);
const { paths, figure } = JSON.parse(element("content").textContent);
const [view, chooser, slider] = ["view", "path", "step"].map(element);
const MILLISECONDS_PER_STEP = 350;
let timer = null, direction = 1;

for (const path of paths) {
  const bytes = Uint8Array.from(atob(path.data), letter => letter.charCodeAt(0));
  path.values = Float32Array.from(new Int16Array(bytes.buffer), v => v * figure.radius / 32767);
  chooser.add(new Option(path.title));
}
chooser.hidden = paths.length < 2;
if (chooser.hidden) chooser.insertAdjacentText("afterend", paths[0].title);

// One ball a point, all in one mesh.
function trace() {
  const path = paths[chooser.selectedIndex], count = path.points;
  const { corners, faces } = figure.ball, radius = path.ballRadius;
  const first = 3 * count * Number(slider.value);
  const mesh = { ...figure.trace };
  ["x", "y", "z"].forEach((axis, index) => {
    const places = path.values.subarray(first + index * count, first + (index + 1) * count);
    const values = mesh[axis] = new Float32Array(count * corners.length);
    for (let n = 0, at = 0; n < count; n++)
      for (const corner of corners) values[at++] = places[n] + radius * corner[index];
  });
  ["i", "j", "k"].forEach((side, index) => {
    const values = mesh[side] = new Int32Array(count * faces.length);
    for (let n = 0, at = 0; n < count; n++)
      for (const face of faces) values[at++] = n * corners.length + face[index];
  });
  const low = mesh.z.reduce((a, b) => Math.min(a, b));
  const high = mesh.z.reduce((a, b) => Math.max(a, b));
  mesh.intensity = mesh.z;
  mesh.cmin = low;
  mesh.cmax = Math.max(high, low + 0.25 * figure.radius);
  return mesh;
}

function show() {
  element("label").textContent = paths[chooser.selectedIndex].labels[slider.value];
  Plotly.react(view, [trace()], figure.layout, figure.config);
}

function choosePath() {
  slider.max = paths[chooser.selectedIndex].labels.length - 1;
  show();
}

function advance() {
  if (Number(slider.value) + direction > slider.max) direction = -1;
  if (Number(slider.value) + direction < 0) direction = 1;
  slider.value = Number(slider.value) + direction;
  show();
}

function stop() {
  clearInterval(timer);
  timer = null;
  element("play").textContent = "Play";
}

element("play").addEventListener("click", () => {
  if (timer !== null) return stop();
  timer = setInterval(advance, MILLISECONDS_PER_STEP);
  element("play").textContent = "Pause";
});
slider.addEventListener("input", () => { stop(); show(); });
chooser.addEventListener("change", choosePath);
choosePath();
</script>"""
