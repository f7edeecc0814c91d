import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from pc_crvae.errors import UserError
from pc_crvae.visualization.pictures import (
    cloud_grid,
    confusion_matrix,
    figure_pixels,
    save_figure,
)
from pc_crvae.visualization.view import view_axes


def cloud_grid_image(rows, **titles):
    return figure_pixels(cloud_grid(rows, **titles))


def _cloud(seed: int, points: int = 60) -> np.ndarray:
    cloud = np.random.default_rng(seed).normal(size=(points, 3)).astype(np.float32)
    return cloud / np.linalg.norm(cloud, axis=1).max()


def test_every_cell_of_a_grid_is_drawn_in_its_place() -> None:
    cloud, point = _cloud(0), np.zeros((1, 3))
    image = cloud_grid_image([[cloud, point], [point, cloud]])
    assert image.dtype == np.uint8
    half_height, half_width = image.shape[0] // 2, image.shape[1] // 2
    ink = image.min(axis=2) < 200
    upper_left, upper_right = ink[:half_height, :half_width], ink[:half_height, half_width:]
    lower_left, lower_right = ink[half_height:, :half_width], ink[half_height:, half_width:]
    assert upper_left.sum() > 5 * upper_right.sum() > 0
    assert lower_right.sum() > 5 * lower_left.sum() > 0


def test_a_cloud_half_as_large_is_drawn_half_as_wide() -> None:
    square = np.array([[x, y, 0.0] for x in (-1, 1) for y in (-1, 1)]) * 0.7
    image = cloud_grid_image([[square, 0.5 * square]])
    columns = np.ptp(image, axis=2).max(axis=0) > 40
    middle = len(columns) // 2
    large, small = (np.ptp(np.flatnonzero(part)) for part in np.split(columns[: 2 * middle], 2))
    assert 0.4 < small / large < 0.65


def _rows_of_balls(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture's rows that show something yellow, and those that show something blue."""
    red, blue = image[..., 0].astype(int), image[..., 2].astype(int)
    yellow_rows = np.flatnonzero((red - blue).max(axis=1) > 40)
    return yellow_rows, np.flatnonzero((blue - red).max(axis=1) > 40)


def test_the_upper_end_of_a_cloud_is_yellow_and_above_the_blue_lower_end() -> None:
    image = cloud_grid_image([[np.array([[0, 0, -0.9], [0, 0, 0.9]])]])
    yellow_rows, blue_rows = _rows_of_balls(image)
    assert len(yellow_rows) > 5
    assert len(blue_rows) > 5
    assert yellow_rows.max() < blue_rows.min()


def test_a_near_point_hides_a_far_one() -> None:
    towards_eye = view_axes()[2]
    image = cloud_grid_image([[np.stack([0.5 * towards_eye, -0.5 * towards_eye])]])
    yellow_rows, blue_rows = _rows_of_balls(image)
    assert len(yellow_rows) > 5
    assert len(blue_rows) == 0


def test_a_grid_is_written_with_titles_as_the_picture_the_array_holds(tmp_path) -> None:
    rows, titles = [[_cloud(0), _cloud(1, 10)]], {"row_titles": ["a"], "column_titles": ["b", "c"]}
    save_figure(cloud_grid(rows, **titles), tmp_path / "new" / "grid.png")
    written = np.rint(imread(tmp_path / "new" / "grid.png")[:, :, :3] * 255)
    np.testing.assert_array_equal(written, cloud_grid_image(rows, **titles))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["grid.png"]


@pytest.mark.parametrize("cloud", [np.zeros((5, 3)), np.zeros((1, 3)), np.full((5, 3), 1e-9)])
def test_collapsed_clouds_are_drawn(cloud) -> None:
    assert cloud_grid_image([[cloud]]).min() < 200


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[_cloud(0)], []], "equally many"),
        ([[]], "at least one cloud"),
        ([[np.zeros((4, 2))]], r"\(N, 3\)"),
        ([[np.full((4, 3), np.nan)]], "not finite"),
    ],
)
def test_malformed_grids_are_refused(rows, message) -> None:
    with pytest.raises(ValueError, match=message):
        cloud_grid_image(rows)


def test_too_few_titles_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 titles, got 1"):
        cloud_grid_image([[_cloud(0), _cloud(1)]], column_titles=["one"])


def test_a_picture_that_cannot_be_written_is_a_user_error_naming_the_path(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"could not write .*grid\.png"):
        save_figure(cloud_grid([[_cloud(0)]]), tmp_path / "file" / "grid.png")


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


@pytest.mark.parametrize(
    "matrix", [np.zeros((2, 3)), np.zeros((3, 3)), np.array([[1, -1], [0, 1]])]
)
def test_a_confusion_matrix_of_another_shape_or_with_negative_counts_is_refused(
    matrix, tmp_path
) -> None:
    with pytest.raises(ValueError, match="none negative"):
        confusion_matrix(matrix, ["cup", "bed"], tmp_path / "confusion.png")


def test_pictures_leave_pyplot_and_open3d_alone() -> None:
    code = (
        "import sys, numpy, pc_crvae.visualization.pictures as pictures\n"
        "pictures.figure_pixels(pictures.cloud_grid([[numpy.zeros((2, 3))]]))\n"
        "print(sorted({'matplotlib.pyplot', 'open3d', 'plotly'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
