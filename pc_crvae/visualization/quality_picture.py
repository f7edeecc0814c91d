"""Rows of clouds in one small picture, such as shapes and what a model makes of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pc_crvae.utils.files import atomic_path
from pc_crvae.visualization.contact_sheet import Tile, sheet_pixels

_COLORS = 128


def quality_picture(rows: Mapping[str, NDArray[np.floating]], path: Path | str) -> None:
    """Write a PNG of 128 colours, a third of the size of one of all, under 300 kB.

    Args:
        rows: by title, clouds (n, P, 3), each row with its own n and P; of the longer rows only
            as many clouds are shown as the shortest has.
        path: the picture to write.

    Raises:
        UserError: the picture could not be written.
    """
    shown = min(map(len, rows.values()))
    tiles = [[Tile("", cloud) for cloud in clouds[:shown]] for clouds in rows.values()]
    drawn = Image.fromarray(sheet_pixels(tiles, row_titles=list(rows)))
    picture = drawn.quantize(_COLORS, dither=Image.Dither.NONE)
    with atomic_path(path) as temporary:
        picture.save(temporary, format="png", optimize=True)
