"""The page of a report: sections one below the other, in one file, which loads nothing.

Its frame, style and script are the files ``page`` beside this one.
"""

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pc_crvae.visualization.web_page import data_address, read_asset, write_page

_SVG_SETTINGS = {"svg.hashsalt": "pc_crvae", "svg.fonttype": "path"}
_NO_METADATA = {"Date": None, "Creator": None}


@dataclass(frozen=True)
class Section:
    """One part of a page.

    Attributes:
        title: the heading, as text.
        body: the content, as HTML in which every text is escaped.
    """

    title: str
    body: str


@dataclass(frozen=True)
class Headline:
    """One number that stands at the top of a page, with what it is and what to hold it against."""

    name: str
    value: str
    note: str = ""


def paragraph(text: str, kind: str = "") -> str:
    """Return a text as a paragraph of a class of the page's style: ``quiet``, ``missing``..."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{html.escape(text)}</p>\n"


def advice(text: str, command: str) -> str:
    """Return one line that says why something is not there, and the command that makes it."""
    return f'<p class="missing">{html.escape(text)} <code>{html.escape(command)}</code></p>\n'


def preformatted(text: str) -> str:
    """Return a table of text, as the commands print them."""
    return f"<pre>{html.escape(text)}</pre>\n"


def pairs(facts: Sequence[tuple[str, str]]) -> str:
    """Return names and what they stand for, one below the other."""
    lines = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts
    )
    return f"<dl>{lines}</dl>\n"


def collapsed(summary: str, body: str) -> str:
    """Return a part that is shown where it is asked for."""
    return f"<details><summary>{html.escape(summary)}</summary>\n{body}</details>\n"


def tile_rows(rows: Sequence[Sequence[str]], titles: Sequence[str]) -> str:
    """Return rows of elements, such as `pc_crvae.visualization.contact_sheet.tile_figures` makes.

    Args:
        rows: elements, side by side.
        titles: one above each row; an empty one is left out.
    """
    parts = []
    for elements, title in zip(rows, titles, strict=True):
        above = f"<h3>{html.escape(title)}</h3>\n" if title else ""
        inside = "\n".join(elements)
        parts.append(f'{above}<div class="row" style="--columns: {len(elements)}">{inside}</div>')
    return "\n".join(parts)


def drawing(figure: Figure, alt: str) -> str:
    """Return a figure as a picture of lines, the same bytes again for the same figure."""
    buffer = io.BytesIO()
    with rc_context(_SVG_SETTINGS):
        FigureCanvasAgg(figure).print_figure(buffer, format="svg", metadata=_NO_METADATA)
    shown = picture(buffer.getvalue(), "svg+xml", alt, style_class="picture drawing")
    return f'<div class="wide">{shown}</div>\n'


def picture(
    data: bytes,
    kind: str,
    alt: str,
    *,
    width: int | None = None,
    style_class: str = "picture",
) -> str:
    """Return a picture that the page carries.

    Args:
        data: the file.
        kind: the kind in ``image/kind``.
        alt: the content of the picture, in words.
        width: pixels it is shown at, at most; None for the page's.
        style_class: the class, or classes, of the page's style; a ``drawing`` turns dark with it.
    """
    size = "" if width is None else f' style="max-width: {width}px"'
    address = data_address(data, kind)
    return f'<img class="{style_class}"{size} alt="{html.escape(alt)}" src="{address}">\n'


def report_page(
    path: Path | str,
    *,
    title: str,
    subtitle: str,
    headlines: Sequence[Headline],
    sections: Sequence[Section],
) -> None:
    """Write a page, which forbids itself to load anything.

    Args:
        path: the page to write.
        title: the title of the page, as text.
        subtitle: a line below it, as text.
        headlines: the lines at the top.
        sections: the rest.

    Raises:
        UserError: the page could not be written.
    """
    numbered = list(enumerate(sections, start=1))
    body = Template(read_asset(__file__, "html")).substitute(
        title=html.escape(title),
        subtitle=html.escape(subtitle),
        script=read_asset(__file__, "js"),
        headlines="".join(map(_headline, headlines)),
        contents="".join(
            f'<a href="#part-{number}">{html.escape(section.title)}</a>'
            for number, section in numbered
        ),
        sections="\n".join(
            f'<section id="part-{number}">\n<h2>{html.escape(section.title)}</h2>\n'
            f"{section.body}</section>"
            for number, section in numbered
        ),
    )
    write_page(
        path,
        title,
        style=read_asset(__file__, "css"),
        body=body,
        allowed="script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:",
    )


def _headline(headline: Headline) -> str:
    name, value, note = map(html.escape, (headline.name, headline.value, headline.note))
    return f"<div><b>{value}</b><span>{name}</span><small>{note}</small></div>"
