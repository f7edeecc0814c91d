"""A contact sheet as a web page, whose shapes turn: one file, which loads nothing.

Its frame, style and script are the files ``contact_page`` beside this one; ``balls.js`` draws.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pc_crvae.visualization import contact_sheet
from pc_crvae.visualization.view import ball_on_page, largest_radius, palette_colors
from pc_crvae.visualization.web_page import element, encoded, write_page


def contact_page(
    rows: Sequence[Sequence[contact_sheet.Tile]],
    path: Path | str,
    *,
    row_titles: Sequence[str] | None = None,
    title: str = "",
) -> None:
    """Write a page of tiles in rows. Clouds, at one scale, turn by mouse, touch and arrow keys.

    Args:
        rows: the tiles; rows may differ in length, and one may be empty.
        path: the page to write.
        row_titles: a heading above each row.
        title: the title of the page.

    Raises:
        UserError: the page could not be written.
    """
    draw = contact_sheet.page_painter(
        [[tile for tile in tiles if not tile.is_cloud] for tiles in rows]
    )
    figures = [
        [contact_sheet.figure_of(tile, _picture(tile, draw)) for tile in tiles] for tiles in rows
    ]
    headings = row_titles or [""] * len(rows)
    write_page(
        path,
        __file__,
        title=title or "Contact sheet",
        rows=list(zip(headings, figures, strict=True)),
        content=_content([tile for tiles in rows for tile in tiles if tile.is_cloud]),
    )


def _picture(tile: contact_sheet.Tile, draw: contact_sheet.Painter) -> Markup:
    """The picture of a tile; of a cloud the element that the script draws it on."""
    if not tile.is_cloud:
        return contact_sheet.image_of(tile, draw)
    return element(__file__, "canvas.html", tile=tile, pixels=contact_sheet.PAGE_PIXELS)


def _content(tiles: Sequence[contact_sheet.Tile]) -> dict[str, object] | None:
    """The clouds of a page, for its script; None where there is none, and no script runs."""
    if not tiles:
        return None
    clouds = [contact_sheet.drawn_points(tile) for tile in tiles]
    radius = largest_radius(clouds)
    return {
        "palette": palette_colors(),
        "clouds": [
            {
                "ball": ball_on_page(len(cloud)),
                "points": encoded(np.rint(cloud * (127 / radius)).astype(np.int8)),
            }
            for cloud in clouds
        ],
    }
