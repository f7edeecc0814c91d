"""Images side by side in one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

from pc_crvae.utils.files import atomic_path

_GAP = 2  # pixels between images
_LEAST_SIDE = 56  # smaller images are magnified by a whole factor


def image_grid(rows: Sequence[NDArray[np.floating]]) -> NDArray[np.uint8]:
    """Lay out rows of images, with a white gap between them.

    Args:
        rows: each (n, C, H, W), C = 1 or 3, values in [0, 1] (others are cut); all of one shape.

    Returns:
        (height, width, 3) uint8.

    Raises:
        ValueError: no row, or rows of different shapes.
    """
    images = np.stack(rows)  # (rows, n, C, H, W)
    _, columns, channels, height, width = images.shape
    if channels == 1:
        images = images.repeat(3, axis=2)
    factor = max(1, -(-_LEAST_SIDE // min(height, width)))
    images = images.repeat(factor, axis=3).repeat(factor, axis=4)
    levels = (np.clip(images, 0, 1) * 255).round().astype(np.uint8)
    padding = [(0, 0), (0, 0), (0, 0), (0, _GAP), (0, _GAP)]
    padded = np.pad(levels, padding, constant_values=255)
    grid = padded.transpose(0, 3, 1, 4, 2).reshape(-1, columns * padded.shape[4], 3)
    return grid[:-_GAP, :-_GAP]


def save_image_grid(rows: Sequence[NDArray[np.floating]], path: Path) -> None:
    """Write rows of images, laid out by `image_grid`, as one picture.

    Raises:
        ValueError: no row, or rows of different shapes.
        UserError: the picture cannot be written.
    """
    with atomic_path(path) as temporary:
        imsave(temporary, image_grid(rows))
