"""The tables of a collection: all its shapes, and its pairs, as CSV files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pc_crvae.collection.analysis import Analysis
from pc_crvae.collection.page import sentence
from pc_crvae.collection.reading import Collection
from pc_crvae.data.formats.registry import format_of
from pc_crvae.utils.files import write_csv

SHAPES = (
    *("id", "path", "sha256", "kind", "vertices", "triangles"),
    *("size_x", "size_y", "size_z", "area", "volume", "unit"),
    *("group", "outlier", "nearest", "nearest_distance", "map_x", "map_y"),
)
"""Columns: sizes, areas and volumes in the unit of the file, which is empty where its format names
none; a measure is empty where there is none."""

DUPLICATES = (
    *("kind", "first", "second", "scale", "degrees", "apart", "farthest"),
    *("first_path", "second_path", "words"),
)
"""Columns: how many times as large the second is, how far it is turned, and how far the two lie
apart, on average and at most, as shares of their size."""


def write_shapes(path: Path, collection: Collection, analysis: Analysis) -> None:
    """Write the table of all shapes, in the order of their paths.

    Raises:
        UserError: it could not be written.
    """
    group_of = {row: group.name for group in analysis.groups for row in group.rows}
    outliers = set(analysis.outliers)
    embeddings = collection.embeddings

    def rows() -> Iterable[Sequence[object]]:
        for row, shape in enumerate(collection.shapes):
            measures: Sequence[object] = [""] * 10
            if shape is not None:
                sizes = [f"{side:.9g}" for side in shape.box]
                measured = shape.area, shape.volume
                area, volume = ("" if value is None else f"{value:.9g}" for value in measured)
                counts = [shape.vertices, shape.triangles or ""]
                unit = format_of(Path(embeddings.sources[row])).unit or ""
                measures = [shape.digest, shape.kind, *counts, *sizes, area, volume, unit]
            near: Sequence[object] = ["", ""]
            if analysis.neighbors.shape[1]:
                nearest = int(analysis.neighbors[row, 0])
                near = [embeddings.ids[nearest], f"{analysis.distances[row, 0]:.6f}"]
            x, y = analysis.places[row]
            yield [
                *(embeddings.ids[row], embeddings.sources[row], *measures),
                *(group_of.get(row, ""), "yes" if row in outliers else "", *near),
                *(f"{x:.4f}", f"{y:.4f}"),
            ]

    write_csv(path, SHAPES, rows())


def write_duplicates(path: Path, collection: Collection, analysis: Analysis) -> None:
    """Write the table of pairs.

    Raises:
        UserError: it could not be written.
    """
    ids, sources = collection.embeddings.ids, collection.embeddings.sources

    def rows() -> Iterable[Sequence[object]]:
        for finding in analysis.findings:
            first, second, found = finding.first, finding.second, finding.comparison
            yield [
                *(finding.kind, ids[first], ids[second], f"{found.scale:.6g}"),
                *(f"{found.degrees:.1f}", f"{found.apart:.2e}", f"{found.farthest:.2e}"),
                *(sources[first], sources[second], sentence(collection, finding)),
            ]

    write_csv(path, DUPLICATES, rows())
