"""The page of a report: sections one below the other, in one file, which loads nothing.

Its frame, style and script are the files ``page`` beside this one.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pc_crvae.utils.templates import data_address
from pc_crvae.visualization.contact_sheet import Tile, tile_figures
from pc_crvae.visualization.web_page import element

_SVG_SETTINGS = {"svg.hashsalt": "pc_crvae", "svg.fonttype": "path"}
_NO_METADATA = {"Date": None, "Creator": None}

NOTHING = Markup()
"""A part of a page that is empty."""


@dataclass(frozen=True)
class Section:
    """One part of a page.

    Attributes:
        title: the heading, as text.
        body: the content, in which every text is escaped.
    """

    title: str
    body: Markup


@dataclass(frozen=True)
class Headline:
    """One number that stands at the top of a page, with what it is and what to hold it against."""

    name: str
    value: str
    note: str = ""


def paragraph(text: str, kind: str = "") -> Markup:
    """Return a text as a paragraph of a class of the page's style: ``quiet``, ``missing``..."""
    return Markup('<p class="{}">{}</p>\n').format(kind, text)


def advice(text: str, command: str) -> Markup:
    """Return one line that says why something is not there, and the command that makes it."""
    return Markup('<p class="missing">{} <code>{}</code></p>\n').format(text, command)


def preformatted(text: str) -> Markup:
    """Return a table of text, as the commands print them."""
    return Markup("<pre>{}</pre>\n").format(text)


def pairs(facts: Sequence[tuple[str, str]]) -> Markup:
    """Return names and what they stand for, one below the other."""
    lines = (Markup("<dt>{}</dt><dd>{}</dd>").format(*fact) for fact in facts)
    return Markup("<dl>{}</dl>\n").format(Markup().join(lines))


def collapsed(summary: str, body: Markup) -> Markup:
    """Return a part that is shown where it is asked for."""
    return Markup("<details><summary>{}</summary>\n{}</details>\n").format(summary, body)


def below(heading: str, body: Markup) -> Markup:
    """Return a part of a section with a heading of its own."""
    return Markup("<h3>{}</h3>\n{}").format(heading, body)


def tile_rows(rows: Sequence[Sequence[Tile]], titles: Sequence[str]) -> Markup:
    """Return rows of tiles, all clouds of them at one scale.

    Args:
        rows: the tiles of each.
        titles: one above each row; an empty one is left out.
    """
    titled = list(zip(titles, tile_figures(rows), strict=True))
    return element(__file__, "tile_rows.html", rows=titled)


def drawing(figure: Figure, alt: str) -> Markup:
    """Return a figure as a picture of lines, the same bytes again for the same figure."""
    buffer = io.BytesIO()
    with rc_context(_SVG_SETTINGS):
        FigureCanvasAgg(figure).print_figure(buffer, format="svg", metadata=_NO_METADATA)
    shown = picture(buffer.getvalue(), "svg+xml", alt, style_class="picture drawing")
    return Markup('<div class="wide">{}</div>\n').format(shown)


def picture(
    data: bytes,
    kind: str,
    alt: str,
    *,
    width: int | None = None,
    style_class: str = "picture",
) -> Markup:
    """Return a picture that the page carries.

    Args:
        data: the file.
        kind: the kind in ``image/kind``.
        alt: the content of the picture, in words.
        width: pixels it is shown at, at most; None for the page's.
        style_class: the class, or classes, of the page's style; a ``drawing`` turns dark with it.
    """
    size = "" if width is None else f"max-width: {width}px"
    shown = Markup('<img class="{}" style="{}" alt="{}" src="{}">\n')
    return shown.format(style_class, size, alt, data_address(data, kind))
