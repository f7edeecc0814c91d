"""A contact sheet as a web page, whose shapes turn: one file, which loads nothing.

Its style and its script are ``contact_page.css`` and ``contact_page.js`` beside this file;
``balls.js`` draws.
"""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pc_crvae.visualization.contact_sheet import (
    PAGE_PIXELS,
    Tile,
    checked,
    drawn_points,
    figure_of,
    image_of,
    page_painter,
)
from pc_crvae.visualization.view import ball_on_page, largest_radius, palette_colors
from pc_crvae.visualization.web_page import json_element, read_asset, read_script, write_page


def contact_page(
    rows: Sequence[Sequence[Tile]],
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
        ValueError: there is no tile, or the titles are not one a row.
        UserError: the page could not be written.
    """
    rows = checked(rows, row_titles)
    clouds = [tile for tiles in rows for tile in tiles if tile.is_cloud]
    draw = page_painter([[tile for tile in tiles if not tile.is_cloud] for tiles in rows])
    sections = []
    for tiles, heading in zip(rows, row_titles or [""] * len(rows), strict=True):
        figures = "\n".join(
            figure_of(tile, _canvas(tile) if tile.is_cloud else image_of(tile, draw))
            for tile in tiles
        )
        above = f"<h2>{html.escape(heading)}</h2>\n" if heading else ""
        sections.append(f'<section>\n{above}<div class="row">\n{figures}\n</div>\n</section>')
    title = title or "Contact sheet"
    turning = _turning(clouds)
    write_page(
        path,
        title,
        style=read_asset(__file__, "css"),
        body="\n".join([f"<h1>{html.escape(title)}</h1>", *sections, *turning]),
        allowed=("script-src 'unsafe-inline'; " if turning else "")
        + "style-src 'unsafe-inline'; img-src data:",
    )


def _canvas(tile: Tile) -> str:
    """The element that the script draws the cloud of a tile on."""
    label = html.escape(f"{tile.caption}. Drag it, or use the arrow keys, to turn it.")
    return (
        f'<canvas width="{PAGE_PIXELS}" height="{PAGE_PIXELS}" tabindex="0" role="img" '
        f'aria-label="{label}"></canvas>'
    )


def _turning(tiles: Sequence[Tile]) -> list[str]:
    """The elements that hold the clouds of a page and turn them; none where there is no cloud."""
    if not tiles:
        return []
    clouds = [drawn_points(tile) for tile in tiles]
    radius = largest_radius(clouds)
    content = {
        "palette": palette_colors(),
        "clouds": [
            {
                "ball": ball_on_page(len(cloud)),
                "points": base64.b64encode(
                    np.rint(cloud * (127 / radius)).astype(np.int8).tobytes()
                ).decode("ascii"),
            }
            for cloud in clouds
        ],
    }
    script = read_script("balls") + read_asset(__file__, "js")
    wrapped = f'<script>\n"use strict";\n(() => {{\n{script}\n}})();\n</script>'
    return [json_element("content", content), wrapped]
