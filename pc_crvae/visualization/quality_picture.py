"""A picture of test shapes, what a model makes of them, and what it makes of its prior."""

from pathlib import Path

from PIL import Image

from pc_crvae.evaluation.generation.run import Pictured
from pc_crvae.utils.files import atomic_path
from pc_crvae.visualization.pictures import cloud_grid_image

_POINTS = 1024
_COLORS = 128


def quality_picture(pictured: Pictured, path: Path | str) -> None:
    """Write a PNG of 128 colours, a third of the size of one of all, under 300 kB.

    Args:
        pictured: equally many shapes in each row.
        path: the picture to write.

    Raises:
        UserError: the picture could not be written.
    """
    rows = {"test shapes": pictured.shapes, "reconstructions": pictured.reconstructions}
    if pictured.samples is not None:
        rows["samples"] = pictured.samples
    shown = min(map(len, rows.values()))
    drawn = cloud_grid_image(
        [[cloud[:_POINTS] for cloud in clouds[:shown]] for clouds in rows.values()],
        row_titles=list(rows),
    )
    picture = Image.fromarray(drawn).quantize(_COLORS, dither=Image.Dither.NONE)
    with atomic_path(path) as temporary:
        picture.save(temporary, format="png", optimize=True)
