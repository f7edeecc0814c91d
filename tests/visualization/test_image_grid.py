import numpy as np
import pytest

from pc_crvae.visualization.image_grid import image_grid


def test_images_lie_in_rows_with_white_between():
    first, second = np.zeros((2, 2, 1, 60, 64))
    second[1] = 0.4
    grid = image_grid([first, second])
    assert grid.shape == (122, 130, 3)
    assert grid.dtype == np.uint8
    assert (grid[:60, :64] == 0).all()
    assert (grid[60:62] == 255).all()
    assert (grid[:, 64:66] == 255).all()
    assert (grid[62:, 66:] == 102).all()


def test_small_images_are_magnified_and_colours_kept():
    image = np.zeros((1, 3, 8, 8))
    image[0, 0, 2, 5], image[0, 2, 7, 7] = 1, 7
    grid = image_grid([image])
    assert grid.shape == (56, 56, 3)
    assert grid[14, 35].tolist() == [255, 0, 0]
    assert grid[20, 41].tolist() == [255, 0, 0]
    assert grid[55, 55].tolist() == [0, 0, 255]
    assert grid[13, 35].tolist() == [0, 0, 0]


@pytest.mark.parametrize("rows", [[], [np.zeros((1, 1, 4, 4)), np.zeros((2, 1, 4, 4))]])
def test_rows_that_make_no_grid_are_refused(rows):
    with pytest.raises(ValueError, match="array"):
        image_grid(rows)
