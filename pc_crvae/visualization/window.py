"""An Open3D window in which a slider scrubs through interpolations.

The window lives in a child process: ``python -m pc_crvae.visualization.window PATHS.npz``.
"""

import ctypes
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pc_crvae.errors import UserError
from pc_crvae.visualization import open3d_scene
from pc_crvae.visualization.child import ChildFailedError, run_with_open3d
from pc_crvae.visualization.pages import InterpolationPath
from pc_crvae.visualization.view import FIELD_OF_VIEW_DEGREES, largest_radius

_WIDTH, _HEIGHT = 1100, 800


def show_interpolation(paths: Sequence[InterpolationPath]) -> None:
    """Open a window with a path chooser and a slider over the steps; return once it is closed.

    Args:
        paths: The paths to choose from, shown at one scale.

    Raises:
        UserError: There is no display, or Open3D is not installed or cannot open a window.
    """
    _require_display()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "paths.npz")
        _write_paths(paths, source)
        try:
            run_with_open3d(__name__, source)
        except ChildFailedError as error:
            raise UserError(
                f"no window can open: {error}; use the HTML page or the picture instead"
            ) from error


def _require_display() -> None:
    """Raise UserError on Linux without a display: Open3D would run on, without a window."""
    if sys.platform != "linux" or os.environ.get("WAYLAND_DISPLAY"):
        return
    advice = "use the HTML page or the picture instead"
    display = os.environ.get("DISPLAY")
    if not display:
        raise UserError(
            "no window can open without a display (neither DISPLAY nor WAYLAND_DISPLAY is set): "
            f"{advice}"
        )
    if not _x_server_answers():
        raise UserError(f"no window can open: the display {display} does not answer: {advice}")


def _x_server_answers() -> bool:
    try:
        xlib = ctypes.CDLL("libX11.so.6")
    except OSError:
        return True  # Open3D needs the same library and says so
    xlib.XOpenDisplay.restype = ctypes.c_void_p
    xlib.XCloseDisplay.argtypes = [ctypes.c_void_p]
    connection = xlib.XOpenDisplay(None)
    if connection is None:
        return False
    xlib.XCloseDisplay(connection)
    return True


def _write_paths(paths: Sequence[InterpolationPath], target: Path) -> None:
    arrays: dict[str, np.ndarray] = {"titles": np.array([path.title for path in paths])}
    for index, path in enumerate(paths):
        arrays[f"clouds {index}"] = path.clouds
        arrays[f"labels {index}"] = np.array(path.labels)
    np.savez(target, **arrays)  # type: ignore[arg-type]  # NumPy's stub takes names for options


def _read_paths(source: Path) -> list[InterpolationPath]:
    with np.load(source, allow_pickle=False) as arrays:
        return [
            InterpolationPath(
                str(title), arrays[f"clouds {index}"], arrays[f"labels {index}"].tolist()
            )
            for index, title in enumerate(arrays["titles"])
        ]


class InterpolationWindow:
    """The window and its widgets: all clouds are in the scene, one of them visible."""

    def __init__(self, paths: Sequence[InterpolationPath]) -> None:
        gui = open3d_scene.import_open3d().visualization.gui
        rendering = open3d_scene.import_open3d().visualization.rendering
        self._gui = gui
        self._paths = paths
        self._shown: int | None = None

        self.window = gui.Application.instance.create_window("Interpolation", _WIDTH, _HEIGHT)
        self._view = gui.SceneWidget()
        self._view.scene = rendering.Open3DScene(self.window.renderer)
        clouds = [cloud for path in paths for cloud in path.clouds]
        open3d_scene.light_scene(self._view.scene)
        open3d_scene.add_clouds(self._view.scene, clouds)

        self.chooser = gui.Combobox()
        for path in paths:
            self.chooser.add_item(path.title)
        self.chooser.set_on_selection_changed(lambda _title, _index: self._choose_path())
        self.slider = gui.Slider(gui.Slider.INT)
        self.slider.set_on_value_changed(lambda _step: self._show_step())
        self._label = gui.Label("")
        spacing = round(0.6 * self.window.theme.font_size)
        self._controls = gui.Vert(spacing, gui.Margins(2 * spacing, spacing, 2 * spacing, spacing))
        for widget in (self.chooser, self.slider, self._label):
            self._controls.add_child(widget)

        self.window.add_child(self._view)
        self.window.add_child(self._controls)
        self.window.set_on_layout(self._lay_out)
        self._choose_path()
        center, eye, up = open3d_scene.camera_pose(largest_radius(clouds))
        bounds = self._view.scene.bounding_box
        self._view.setup_camera(FIELD_OF_VIEW_DEGREES, bounds, center)
        self._view.look_at(center, eye, up)

    def _choose_path(self) -> None:
        path = self._paths[self.chooser.selected_index]
        self.slider.set_limits(0, len(path.clouds) - 1)
        self._show_step()

    def _show_step(self) -> None:
        chosen, step = self.chooser.selected_index, self.slider.int_value
        self._label.text = self._paths[chosen].labels[step]
        index = step + sum(len(path.clouds) for path in self._paths[:chosen])
        open3d_scene.show_instead(self._view.scene, index, self._shown)
        self._shown = index
        self._view.force_redraw()

    def _lay_out(self, context: Any) -> None:
        """Put the controls below the view."""
        area = self.window.content_rect
        constraints = self._gui.Widget.Constraints()
        height = self._controls.calc_preferred_size(context, constraints).height
        self._view.frame = self._gui.Rect(area.x, area.y, area.width, area.height - height)
        self._controls.frame = self._gui.Rect(
            area.x, area.get_bottom() - height, area.width, height
        )


def _run(source: Path) -> None:
    """Show the paths of a file until the window is closed."""
    application = open3d_scene.import_open3d().visualization.gui.Application.instance
    application.initialize()
    InterpolationWindow(_read_paths(source))
    application.run()


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
