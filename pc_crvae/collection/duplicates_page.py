"""A small report on duplicates, to be sent to whoever keeps the files: no script, no network."""

import html
from collections import defaultdict
from pathlib import Path

from pc_crvae.collection.analysis import Analysis
from pc_crvae.collection.comparison import Kind
from pc_crvae.collection.duplicates import Finding
from pc_crvae.collection.page import sentence
from pc_crvae.collection.reading import Collection
from pc_crvae.collection.wording import TITLES
from pc_crvae.errors import printable
from pc_crvae.visualization.contact_sheet import Tile, tile_figures
from pc_crvae.visualization.web_page import read_asset, write_page

_PICTURED = 60
"""Pairs that are shown with pictures; the others in words."""


def duplicates_page(path: Path, collection: Collection, analysis: Analysis, *, title: str) -> None:
    """Write the report.

    Args:
        path: the page to write.
        collection: the shapes.
        analysis: the findings about them.
        title: the title of the page, as text.

    Raises:
        UserError: the page could not be written.
    """
    by_kind: defaultdict[Kind, list[Finding]] = defaultdict(list)
    for finding in analysis.findings:
        by_kind[finding.kind].append(finding)
    parts = [f"<h1>{html.escape(title)}</h1>", _summary(collection, by_kind)]
    left = _PICTURED
    for kind, heading in TITLES.items():
        found = by_kind.get(kind, [])
        if not found:
            continue
        parts.append(f"<h2>{html.escape(heading)} ({len(found):,})</h2>")
        parts.append(_section(collection, found, found[:left]))
        left = max(0, left - len(found))
    write_page(
        path,
        title,
        style=read_asset(__file__, "css"),
        body="\n".join(parts),
        allowed="style-src 'unsafe-inline'; img-src data:",
    )


def _summary(collection: Collection, by_kind: dict[Kind, list[Finding]]) -> str:
    if not by_kind:
        return f"<p>No duplicates were found among {len(collection):,} shapes.</p>"
    spared = {
        finding.second
        for kind in ("same file", "same geometry")
        for finding in by_kind.get(kind, [])
    }
    return (
        f"<p>{len(collection):,} shapes were compared by their geometry. "
        f"{len(spared):,} of them hold what another file holds already.</p>"
    )


def _section(collection: Collection, found: list[Finding], pictured: list[Finding]) -> str:
    figures = tile_figures([[_tile(collection, row) for row in _rows(pair)] for pair in pictured])
    lines = [
        f'<article><p>{html.escape(sentence(collection, pair))}</p><div class="row">'
        f"{''.join(own)}</div>{_paths(collection, pair)}</article>"
        for pair, own in zip(pictured, figures, strict=True)
    ]
    lines += [
        f"<article><p>{html.escape(sentence(collection, pair))}</p>"
        f"{_paths(collection, pair)}</article>"
        for pair in found[len(pictured) :]
    ]
    return "\n".join(lines)


def _rows(finding: Finding) -> tuple[int, int]:
    return finding.first, finding.second


def _tile(collection: Collection, row: int) -> Tile:
    shape = collection.shapes[row]
    cloud, note = None, ""
    if shape is not None:
        cloud = shape.points
        note = " x ".join(f"{side:.5g}" for side in shape.box)
    return Tile(printable(collection.embeddings.ids[row]), cloud, note)


def _paths(collection: Collection, finding: Finding) -> str:
    sources = [printable(collection.embeddings.sources[row]) for row in _rows(finding)]
    return "".join(f'<p class="path">{html.escape(source)}</p>' for source in sources if source)
