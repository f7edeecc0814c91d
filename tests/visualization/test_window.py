import importlib.util
import sys

import numpy as np
import pytest

from pc_crvae.errors import UserError
from pc_crvae.visualization.pages import InterpolationPath
from pc_crvae.visualization.view import point_radius
from pc_crvae.visualization.window import _read_paths, _write_paths, show_interpolation

needs_open3d = pytest.mark.skipif(
    importlib.util.find_spec("open3d") is None, reason="Open3D is not installed (extra viz)"
)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="about Linux's displays")


def _paths() -> list[InterpolationPath]:
    generator = np.random.default_rng(0)
    return [
        InterpolationPath(f"Stühle {steps}", generator.normal(size=(steps, 10, 3)), ["é"] * steps)
        for steps in (2, 3)
    ]


@linux_only
def test_without_a_display_one_sentence_points_to_the_page(monkeypatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UserError, match=r"neither DISPLAY nor WAYLAND_DISPLAY.*HTML page"):
        show_interpolation(_paths())


@linux_only
def test_an_unreachable_display_is_a_user_error_and_not_a_crash(monkeypatch) -> None:
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UserError, match="display :4711 does not answer"):
        show_interpolation(_paths())


def test_paths_reach_the_windows_process_unchanged(tmp_path) -> None:
    paths = _paths()
    _write_paths(paths, tmp_path / "paths.npz")
    for sent, received in zip(paths, _read_paths(tmp_path / "paths.npz"), strict=True):
        assert (received.title, list(received.labels)) == (sent.title, list(sent.labels))
        np.testing.assert_array_equal(received.clouds, sent.clouds)


@needs_open3d
def test_the_scene_holds_one_ball_a_point() -> None:
    from pc_crvae.visualization.open3d_scene import _ball_mesh

    cloud = np.array([[0.0, 0, 0], [0.5, 0, 0.5]])
    mesh = _ball_mesh(cloud)
    vertices = np.asarray(mesh.vertices).reshape(2, -1, 3)
    radii = np.linalg.norm(vertices - cloud[:, None], axis=2)
    np.testing.assert_allclose(radii, point_radius(2))
    assert np.asarray(mesh.triangles).max() == 2 * vertices.shape[1] - 1
    assert len(np.unique(np.asarray(mesh.vertex_colors), axis=0)) == 2
