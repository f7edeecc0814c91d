"""Contact sheets: many shapes or images at a glance, as one picture.

Clouds are drawn by the camera and the colours of every other picture, all at one scale.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pc_crvae.randomness.keys import keyed_numpy_generator
from pc_crvae.utils.files import atomic_path
from pc_crvae.visualization.pictures import INK, Frame, draw_cloud
from pc_crvae.visualization.view import as_clouds
from pc_crvae.visualization.web_page import element

CARD = "#f5f6fa"
"""The colour behind a tile."""

_QUIET, _ACCENT, _MARKED_CARD = "#74769a", "#2f67b1", "#e6eef9"
_PAPER, _CLEAR = "white", "#ffffff00"
_CELL = 176  # pixels a tile is wide
_GAP, _PAD = 8, 6
_DRAWN_POINTS = 1024  # more would not be told apart in a tile
_LARGEST_FLAT = 64  # pixels a side
PAGE_PIXELS = round(1.5 * _CELL)
"""The width of a picture on a page, which is looked at closer than a sheet."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of a sheet, with what is written under it.

    Attributes:
        caption: the first line, cut in its middle where it is too long.
        item: a cloud (N, 3), real, z up, about the origin; or an image (C, H, W) with 1 or 3
            channels, uint8, or real in [0, 1]; None of what could not be had.
        note: a second, quieter line.
        marked: set apart, for example a query among its hits.
        link: the address that the caption leads to on a page; empty for none.

    Raises:
        ValueError: the item has a wrong shape or values.
    """

    caption: str
    item: NDArray[np.number] | None = None
    note: str = ""
    marked: bool = False
    link: str = ""

    def __post_init__(self) -> None:
        if self.is_cloud:
            as_clouds([np.asarray(self.item)])
        elif self.item is not None:
            pixels_of(self.item)

    @property
    def is_cloud(self) -> bool:
        """Whether the item is a cloud."""
        return self.item is not None and self.item.ndim == 2


Painter = Callable[[Tile], Image.Image]
"""Draws a tile without its caption."""


def contact_sheet(
    rows: Sequence[Sequence[Tile]],
    path: Path | str,
    *,
    row_titles: Sequence[str] | None = None,
    title: str = "",
    width: int = _CELL,
) -> None:
    """Write a sheet of tiles in rows as one picture.

    Args:
        rows: the tiles; rows may differ in length, and one may be empty.
        path: the picture to write; its suffix chooses the format, for example ``.png``.
        row_titles: a title left of each row.
        title: the title of the whole sheet.
        width: the pixels that a tile is wide.

    Raises:
        UserError: the picture could not be written.
    """
    picture = _composed(rows, row_titles, title, width)
    with atomic_path(path) as temporary:
        picture.save(temporary)


def sheet_pixels(
    rows: Sequence[Sequence[Tile]], *, row_titles: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """Return the picture that `contact_sheet` would write, as (H, W, 3) uint8.

    Args:
        rows: the tiles, as `contact_sheet` takes them.
        row_titles: a title left of each row.
    """
    return np.asarray(_composed(rows, row_titles, "", _CELL))


def tile_figures(rows: Sequence[Sequence[Tile]]) -> list[list[Markup]]:
    """Return tiles as elements of a page, ``figure`` each, all clouds of them at one scale."""
    draw = page_painter(rows)
    return [[figure_of(tile, image_of(tile, draw)) for tile in tiles] for tiles in rows]


def page_painter(rows: Sequence[Sequence[Tile]]) -> Painter:
    """Return what draws tiles for a page, on nothing, as :func:`image_of` takes it."""
    return _painter(rows, PAGE_PIXELS, clear=True)


def rows_by_class(
    labels: NDArray[np.int64] | int,
    classes: Sequence[str] = (),
    per_class: int = 8,
    *,
    seed: int = 0,
    most_classes: int = 60,
) -> tuple[list[list[int]], list[str] | None]:
    """Draw random items of each class for a sheet, one row per class.

    Args:
        labels: (n,), indices into ``classes``; of items without labels their number n, and they
            fill eight rows as they come.
        classes: names.
        per_class: items a row.
        seed: fixes the choice.
        most_classes: where there are more, that many classes are drawn at random.

    Returns:
        The rows of items, by their indices, and titles of the rows: class names with their
        counts; None without labels.
    """
    generator = keyed_numpy_generator("contact sheet", seed)
    if isinstance(labels, int):
        chosen = np.sort(generator.permutation(labels)[: 8 * per_class]).tolist()
        return [
            chosen[start : start + per_class] for start in range(0, len(chosen), per_class)
        ], None
    present = np.unique(labels)
    if len(present) > most_classes:
        present = np.sort(generator.choice(present, most_classes, replace=False))
    rows, titles = [], []
    for label in present:
        members = np.flatnonzero(labels == label)
        rows.append(np.sort(generator.permutation(members)[:per_class]).tolist())
        titles.append(f"{classes[label]} ({len(members):,})")
    return rows, titles


def _painter(rows: Sequence[Sequence[Tile]], width: int, *, clear: bool = False) -> Painter:
    """Return what draws a tile ``width`` pixels wide, without its caption.

    It is drawn on its card, or on nothing where ``clear``.
    """
    clouds = [drawn_points(tile) for tiles in rows for tile in tiles if tile.is_cloud]
    frame = Frame.around(clouds) if clouds else None
    height = round(width * frame.aspect if frame else _height_of_images(rows, width))

    def draw(tile: Tile) -> Image.Image:
        card = _CLEAR if clear else _MARKED_CARD if tile.marked else CARD
        if tile.is_cloud and frame is not None:
            picture = _cloud_picture(drawn_points(tile), frame, (width, height), card)
            return picture if clear else picture.convert("RGB")
        picture = Image.new("RGBA" if clear else "RGB", (width, height), card)
        if tile.item is not None:
            inner = _fitted(tile.item, width - 2 * _PAD, height - 2 * _PAD)
            picture.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
        else:
            pen, middle = ImageDraw.Draw(picture), (width // 2, height // 2)
            pen.text(middle, "no picture", font=_font(12), fill=_QUIET, anchor="mm")
        return picture

    return draw


def _height_of_images(rows: Sequence[Sequence[Tile]], width: int) -> float:
    """The height of cells ``width`` pixels wide that leaves no room above the tallest image."""
    shapes = [np.shape(tile.item) for tiles in rows for tile in tiles if tile.item is not None]
    aspect = max((down / across for _, down, across in shapes), default=1.0)
    return 2 * _PAD + (width - 2 * _PAD) * aspect


def drawn_points(tile: Tile) -> NDArray[np.float64]:
    """Return at most `_DRAWN_POINTS` of a tile's points, always the same ones."""
    cloud = np.asarray(tile.item, dtype=np.float64)
    if len(cloud) <= _DRAWN_POINTS:
        return cloud
    chosen = np.random.default_rng(0).choice(len(cloud), _DRAWN_POINTS, replace=False)
    return cloud[chosen]


def _cloud_picture(
    cloud: NDArray[np.float64], frame: Frame, size: tuple[int, int], card: str
) -> Image.Image:
    """Draw a cloud at twice the size and halve it, which smooths what single pixels cannot show."""
    figure = Figure(figsize=(2 * size[0] / 100, 2 * size[1] / 100), dpi=100, facecolor=card)
    cell = figure.add_axes((0, 0, 1, 1))
    cell.set_axis_off()
    draw_cloud(cell, cloud, frame)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).resize(size, Image.Resampling.BOX)


def pixels_of(image: NDArray[np.number]) -> NDArray[np.uint8]:
    """Return an image (C, H, W) as (H, W, 3) uint8."""
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or 0 in pixels.shape:
        raise ValueError(f"an image must be (1 or 3, H, W), not {pixels.shape}")
    if pixels.dtype != np.uint8:
        if not ((pixels >= 0) & (pixels <= 1)).all():
            raise ValueError("an image of reals must lie in [0, 1]")
        pixels = np.rint(pixels * 255).astype(np.uint8)
    return np.broadcast_to(pixels.transpose(1, 2, 0), (*pixels.shape[1:], 3))


def _fitted(image: NDArray[np.number], width: int, height: int) -> Image.Image:
    """Return an image as large as fits; a small one keeps its pixels as whole squares."""
    picture = Image.fromarray(np.ascontiguousarray(pixels_of(image)))
    scale = min(width / picture.width, height / picture.height)
    if scale >= 1:
        whole = int(scale)
        size = (picture.width * whole, picture.height * whole)
        return picture.resize(size, Image.Resampling.NEAREST)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _composed(
    rows: Sequence[Sequence[Tile]], row_titles: Sequence[str] | None, title: str, width: int
) -> Image.Image:
    """Lay the tiles out on one picture."""
    draw = _painter(rows, width)
    blank = draw(Tile(""))
    caption, quiet, heading = _font(12), _font(11), _font(14)
    has_note = any(tile.note for tiles in rows for tile in tiles)
    has_caption = has_note or any(tile.caption for tiles in rows for tile in tiles)
    text_height = (22 if has_caption else 0) + (16 if has_note else 0)
    cell_height = blank.height + text_height
    left = _GAP
    if row_titles is not None:
        left += _GAP + min(190, ceil(max(map(heading.getlength, row_titles), default=0)))
    top = _GAP + (30 if title else 0)
    columns = max(map(len, rows))
    sheet = Image.new(
        "RGB",
        (left + columns * (width + _GAP), top + len(rows) * (cell_height + _GAP)),
        _PAPER,
    )
    pen = ImageDraw.Draw(sheet)
    if title:
        shown = _cut(title, _font(17), sheet.width - 2 * _GAP)
        pen.text((_GAP, top / 2 + 2), shown, font=_font(17), fill=INK, anchor="lm")
    for row, tiles in enumerate(rows):
        y = top + row * (cell_height + _GAP)
        if row_titles is not None:
            shown = _cut(row_titles[row], heading, left - 2 * _GAP)
            pen.text((_GAP, y + cell_height / 2), shown, font=heading, fill=INK, anchor="lm")
        for column, tile in enumerate(tiles):
            x = left + column * (width + _GAP)
            card = _MARKED_CARD if tile.marked else CARD
            pen.rounded_rectangle((x, y, x + width - 1, y + cell_height - 1), 8, fill=card)
            sheet.paste(draw(tile), (x, y), _corners(width, blank.height))
            middle, line = x + width / 2, y + blank.height + 9
            shown = _cut(tile.caption, caption, width - 2 * _PAD)
            pen.text((middle, line), shown, font=caption, fill=INK, anchor="mm")
            if tile.note:
                shown = _cut(tile.note, quiet, width - 2 * _PAD)
                pen.text((middle, line + 16), shown, font=quiet, fill=_QUIET, anchor="mm")
            if tile.marked:
                box = (x, y, x + width - 1, y + cell_height - 1)
                pen.rounded_rectangle(box, 8, outline=_ACCENT, width=2)
    return sheet


@cache
def _corners(width: int, height: int) -> Image.Image:
    """Return a mask of a card's upper part, whose upper corners are round."""
    mask = Image.new("L", (width, height), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, width - 1, height + 20), 8, fill=255)
    return mask


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(findfont("DejaVu Sans"), size)


def _cut(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Return a text that fits, shortened in its middle: names tell apart at both ends."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    for kept in range(min(len(text), 400) - 1, 0, -1):
        head = (kept + 1) // 2
        shown = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
        if font.getlength(shown) <= width:
            return shown
    return ""


def image_of(tile: Tile, draw: Painter) -> Markup:
    """Return the picture of a tile as an element of a page."""
    picture, buffer = draw(tile), io.BytesIO()
    # Flat colours of small images suffer from loss; shaded balls and photographs do not.
    is_large = tile.item is not None and max(tile.item.shape) > _LARGEST_FLAT
    kind = "webp" if tile.is_cloud or is_large else "png"
    picture.save(buffer, kind, quality=85)
    data, size = buffer.getvalue(), picture.size
    return element(__file__, "picture.html", tile=tile, data=data, kind=kind, size=size)


def figure_of(tile: Tile, picture: Markup) -> Markup:
    """Return a tile as an element of a page, by the element of its picture."""
    return element(__file__, "tile.html", tile=tile, picture=picture)
