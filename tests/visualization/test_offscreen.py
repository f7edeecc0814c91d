import importlib.util
import subprocess

import numpy as np
import pytest
from matplotlib.image import imread

from pc_crvae.errors import UserError
from pc_crvae.visualization import child, offscreen
from pc_crvae.visualization.child import ChildFailedError, run_with_open3d
from pc_crvae.visualization.offscreen import render_strip

needs_open3d = pytest.mark.skipif(
    importlib.util.find_spec("open3d") is None, reason="Open3D is not installed (extra viz)"
)


def _clouds() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.uniform(-0.5, 0.5, size=(80, 3)) * [1, 1, high] for high in (1.2, 0.3)]


def _drawn_rows(image: np.ndarray) -> int:
    return int(np.count_nonzero((np.ptp(image, axis=2) > 0.25).any(axis=1)))


def _open3d_is_missing(monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def _child_ends_with(monkeypatch, code: int, stderr: str = "") -> None:
    def run(arguments, **options):
        return subprocess.CompletedProcess(arguments, code, stdout="", stderr=stderr)

    monkeypatch.setattr(child.subprocess, "run", run)


@needs_open3d
def test_open3d_renders_clouds_of_their_own_heights_side_by_side_on_white(tmp_path) -> None:
    how = render_strip(_clouds(), tmp_path / "strip.png", ["a", "b"], renderer="open3d")
    assert how == "rendered by Open3D"
    image = imread(tmp_path / "strip.png")[:, :, :3]
    tall, flat = np.array_split(image, 2, axis=1)
    assert _drawn_rows(tall) > 1.5 * _drawn_rows(flat) > 0
    assert np.median(image) > 0.95


def test_matplotlib_renders_clouds_of_their_own_heights_side_by_side(tmp_path) -> None:
    how = render_strip(_clouds(), tmp_path / "strip.png", ["a", "b"], renderer="matplotlib")
    assert how == "rendered by matplotlib"
    tall, flat = np.array_split(imread(tmp_path / "strip.png")[:, :, :3], 2, axis=1)
    assert _drawn_rows(tall) > 1.5 * _drawn_rows(flat) > 0


def test_without_open3d_matplotlib_renders_and_says_what_to_install(tmp_path, monkeypatch) -> None:
    _open3d_is_missing(monkeypatch)
    how = render_strip(_clouds(), tmp_path / "strip.png", ["a", "b"])
    assert how == ('rendered by matplotlib: Open3D is not installed (pip install "pc-crvae[viz]")')
    assert (tmp_path / "strip.png").exists()


def test_demanding_open3d_where_it_is_missing_is_a_user_error(tmp_path, monkeypatch) -> None:
    _open3d_is_missing(monkeypatch)
    with pytest.raises(UserError, match=r"Open3D cannot render .*strip\.png.*not installed"):
        render_strip(_clouds(), tmp_path / "strip.png", ["a", "b"], renderer="open3d")
    assert not (tmp_path / "strip.png").exists()


@needs_open3d
def test_without_a_vulkan_driver_matplotlib_renders_and_quotes_open3d(
    tmp_path, monkeypatch
) -> None:
    for variable in ("VK_ICD_FILENAMES", "VK_DRIVER_FILES"):
        monkeypatch.setenv(variable, str(tmp_path / "no-driver.json"))
    how = render_strip(_clouds(), tmp_path / "strip.png", ["a", "b"])
    assert how.startswith("rendered by matplotlib: Open3D ")
    assert (tmp_path / "strip.png").exists()


@needs_open3d
@pytest.mark.parametrize(
    ("code", "stderr", "reason"),
    [
        (-11, "", "Open3D died of SIGSEGV"),
        (1, "OSError: libGL.so.1 is missing\n", "Open3D says 'OSError: libGL.so.1 is missing'"),
        (3, "", "Open3D ended with status 3"),
    ],
)
def test_a_failed_child_is_explained(monkeypatch, tmp_path, code, stderr, reason) -> None:
    _child_ends_with(monkeypatch, code, stderr)
    how = render_strip(_clouds(), tmp_path / "strip.png", ["a", "b"])
    assert how == f"rendered by matplotlib: {reason}"


@needs_open3d
def test_a_child_that_takes_too_long_is_stopped() -> None:
    with pytest.raises(ChildFailedError, match=r"did not finish within 0\.1 seconds"):
        run_with_open3d("http.server", time_limit=0.1)


def test_brightening_turns_the_floor_white_and_keeps_what_stands_on_it() -> None:
    images = np.full((1, 9, 9, 3), (200, 202, 198), dtype=np.uint8)
    images[:, 4, 4] = (100, 50, 20)
    bright = offscreen._on_white(images)
    assert (bright[:, 0] == 255).all()
    np.testing.assert_allclose(bright[0, 4, 4], (130, 64, 26), atol=1)


def test_cropping_keeps_one_frame_for_all_images() -> None:
    images = np.full((2, 100, 100, 3), 255, dtype=np.uint8)
    images[0, 30, 40] = images[1, 60, 70] = 0
    cropped = offscreen._cropped(images)
    assert cropped.shape[0] == 2
    assert 31 <= cropped.shape[1] < 45
    assert (cropped[0] == 0).any()
    assert (cropped[1] == 0).any()


def test_malformed_clouds_are_refused_before_anything_is_rendered(tmp_path) -> None:
    with pytest.raises(ValueError, match="cloud 1"):
        render_strip([np.zeros((4, 3)), np.zeros((4, 2))], tmp_path / "strip.png", ["a", "b"])
