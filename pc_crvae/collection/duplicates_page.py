"""A small report on duplicates, to be sent to whoever keeps the files: no script, no network."""

from collections import defaultdict
from pathlib import Path

from markupsafe import Markup

from pc_crvae.collection.analysis import Analysis
from pc_crvae.collection.comparison import Kind
from pc_crvae.collection.duplicates import Finding
from pc_crvae.collection.page import sentence
from pc_crvae.collection.reading import Collection
from pc_crvae.collection.wording import TITLES
from pc_crvae.errors import printable
from pc_crvae.visualization.contact_sheet import Tile, tile_figures
from pc_crvae.visualization.web_page import write_page

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
    sections, left = [], _PICTURED
    for kind, heading in TITLES.items():
        found = by_kind.get(kind, [])
        if found:
            sections.append((f"{heading} ({len(found):,})", _articles(collection, found, left)))
            left = max(0, left - len(found))
    summary = _summary(collection, by_kind)
    write_page(path, __file__, title=title, summary=summary, sections=sections)


def _summary(collection: Collection, by_kind: dict[Kind, list[Finding]]) -> str:
    if not by_kind:
        return f"No duplicates were found among {len(collection):,} shapes."
    copies = by_kind.get("same file", []) + by_kind.get("same geometry", [])
    spared = {finding.second for finding in copies}
    return (
        f"{len(collection):,} shapes were compared by their geometry. "
        f"{len(spared):,} of them hold what another file holds already."
    )


def _articles(
    collection: Collection, found: list[Finding], pictured: int
) -> list[tuple[str, list[Markup], list[str]]]:
    """What is said of each finding, the pictures of the first few, and where the files lie."""
    tiles = [[_tile(collection, row) for row in _rows(pair)] for pair in found[:pictured]]
    figures = tile_figures(tiles) + [[]] * len(found[pictured:])
    shown = zip(found, figures, strict=True)
    return [(sentence(collection, pair), own, _sources(collection, pair)) for pair, own in shown]


def _rows(finding: Finding) -> tuple[int, int]:
    return finding.first, finding.second


def _tile(collection: Collection, row: int) -> Tile:
    shape = collection.shapes[row]
    cloud, note = None, ""
    if shape is not None:
        cloud = shape.points
        note = " x ".join(f"{side:.5g}" for side in shape.box)
    return Tile(printable(collection.embeddings.ids[row]), cloud, note)


def _sources(collection: Collection, finding: Finding) -> list[str]:
    return [printable(collection.embeddings.sources[row]) for row in _rows(finding)]
