import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from pc_crvae.errors import UserError
from pc_crvae.visualization.pictures import (
    Frame,
    confusion_matrix,
    draw_cloud,
    save_figure,
)
from pc_crvae.visualization.view import view_axes


def picture_of(cloud, path) -> np.ndarray:
    """A cloud drawn alone, as (H, W, 3) uint8."""
    figure = Figure(figsize=(3, 3), dpi=100)
    cell = figure.add_axes((0, 0, 1, 1))
    cell.set_axis_off()
    draw_cloud(cell, cloud, Frame.around([cloud]))
    save_figure(figure, path)
    return np.rint(imread(path)[:, :, :3] * 255).astype(np.uint8)


def _cloud(seed: int, points: int = 60) -> np.ndarray:
    cloud = np.random.default_rng(seed).normal(size=(points, 3)).astype(np.float32)
    return cloud / np.linalg.norm(cloud, axis=1).max()


def _rows_of_balls(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture's rows that show something yellow, and those that show something blue."""
    red, blue = image[..., 0].astype(int), image[..., 2].astype(int)
    yellow_rows = np.flatnonzero((red - blue).max(axis=1) > 40)
    return yellow_rows, np.flatnonzero((blue - red).max(axis=1) > 40)


def test_the_upper_end_of_a_cloud_is_yellow_and_above_the_blue_lower_end(tmp_path) -> None:
    image = picture_of(np.array([[0, 0, -0.9], [0, 0, 0.9]]), tmp_path / "a.png")
    yellow_rows, blue_rows = _rows_of_balls(image)
    assert len(yellow_rows) > 5
    assert len(blue_rows) > 5
    assert yellow_rows.max() < blue_rows.min()


def test_a_near_point_hides_a_far_one(tmp_path) -> None:
    towards_eye = view_axes()[2]
    cloud = np.stack([0.5 * towards_eye, -0.5 * towards_eye])
    image = picture_of(cloud, tmp_path / "a.png")
    yellow_rows, blue_rows = _rows_of_balls(image)
    assert len(yellow_rows) > 5
    assert len(blue_rows) == 0


@pytest.mark.parametrize("cloud", [np.zeros((5, 3)), np.zeros((1, 3)), np.full((5, 3), 1e-9)])
def test_collapsed_clouds_are_drawn(cloud, tmp_path) -> None:
    assert picture_of(cloud, tmp_path / "a.png").min() < 200


def test_a_picture_that_cannot_be_written_is_a_user_error_naming_the_path(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"could not write .*grid\.png"):
        picture_of(_cloud(0), tmp_path / "file" / "grid.png")


def test_a_confusion_matrix_is_darkest_where_a_whole_class_went(tmp_path) -> None:
    confusion_matrix(np.array([[0, 8], [3, 3]]), ["cup", "bed"], tmp_path / "confusion.png")
    image = imread(tmp_path / "confusion.png")[:, :, :3]
    row, column = np.unravel_index(
        np.argmin(image.sum(axis=2) + 9 * image[:, :, 0]), (image.shape[:2])
    )
    assert row < image.shape[0] / 2
    assert column > image.shape[1] * 0.4


def test_a_confusion_matrix_of_several_seeds_shows_items_and_not_their_sum(tmp_path) -> None:
    counts = np.array([[5, 1], [0, 6]])  # 3 + 3 items, 2 seeds
    confusion_matrix(counts, ["cup", "bed"], tmp_path / "c.svg", draws=2)
    drawn = re.findall(r"<!-- (.*?) -->", (tmp_path / "c.svg").read_text())
    assert "6 of 6 right (91.7%), mean of 2 probe seeds" in drawn
    assert {"2.5", "0.5", "3"} <= set(drawn)


def test_a_class_without_samples_does_not_spoil_a_confusion_matrix(tmp_path) -> None:
    with np.errstate(all="raise"):
        confusion_matrix(np.array([[2, 0], [0, 0]]), ["cup", "bed"], tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").exists()


def test_pictures_leave_pyplot_and_open3d_alone() -> None:
    code = (
        "import sys, numpy\n"
        "from pc_crvae.visualization.contact_sheet import Tile, sheet_pixels\n"
        "sheet_pixels([[Tile('a', numpy.zeros((2, 3)))]])\n"
        "print(sorted({'matplotlib.pyplot', 'open3d', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
