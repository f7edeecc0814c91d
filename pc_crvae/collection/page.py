"""The page of a collection: one file, which loads nothing.

Its frame and style are ``page.html`` and ``page.css`` beside this file; its script is
``balls.js`` of the visualization, ``page_shapes.js``, ``page_map.js``, ``page.js`` and
``page_drop.js``, one after the other.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.analysis import Analysis
from pc_crvae.collection.duplicates import Finding
from pc_crvae.collection.likeness import distances_of_pairs, shares_not_closer
from pc_crvae.collection.reading import Collection
from pc_crvae.collection.shapes import KEPT_POINTS, Shape
from pc_crvae.collection.wording import TITLES, describe
from pc_crvae.data.formats.other_kinds import tell_passed_over
from pc_crvae.data.formats.registry import format_of
from pc_crvae.errors import printable
from pc_crvae.visualization.embedding_map import class_colors
from pc_crvae.visualization.view import palette_colors
from pc_crvae.visualization.web_page import encoded, write_page

_DIGITS = 6  # of a measure

ALLOWED = "script-src 'unsafe-inline'; style-src 'unsafe-inline'"
"""What the security policy of the page lets it use."""


def collection_page(
    path: Path, collection: Collection, analysis: Analysis, *, title: str, made_of: str
) -> None:
    """Write the page.

    Args:
        path: the page to write.
        collection: the shapes.
        analysis: the findings about them.
        title: the title of the page, as text.
        made_of: what the page depends on, by :mod:`pc_crvae.collection.freshness`.

    Raises:
        UserError: the page could not be written.
    """
    summary = summary_of(collection, analysis)
    write_page(
        path,
        __file__,
        title=title,
        allowed=ALLOWED,
        summary=summary,
        notes=notes_of(collection, analysis),
        content=_content(collection, analysis) | {"summary": summary, "madeOf": made_of},
    )


def summary_of(collection: Collection, analysis: Analysis) -> str:
    """Return how much there is of what, in a line."""
    count = analysis.count()
    mirrored, near = count["mirrored"], count["near"]
    parts = [
        _counted(len(collection), "shape"),
        _counted(len(analysis.groups), "group"),
        _counted(count.total() - mirrored - near, "duplicate"),
        _counted(near, "near-duplicate"),
        _counted(mirrored, "mirror image"),
        _counted(len(analysis.outliers), "outlier"),
    ]
    if collection.refused:
        parts.append(f"{_counted(len(collection.refused), 'file')} refused")
    return ", ".join(parts)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def notes_of(collection: Collection, analysis: Analysis) -> list[str]:
    """Return what a user should know before trusting the page."""
    notes = []
    lying = sum(found.kind == "turned" and found.comparison.on_side for found in analysis.findings)
    if lying:
        pairs = "pair is" if lying == 1 else "pairs are"
        notes.append(
            f"{lying:,} {pairs} the same shape standing in one file and lying in the other: if "
            "the files have different upright axes, --up says so by suffix, such as glb=y,stl=z."
        )
    without = sum(shape is None for shape in collection.shapes)
    if without:
        notes.append(
            f"{without:,} of {len(collection):,} shapes have no file that can be read: they have "
            "no picture, and are compared with no other by geometry."
        )
    return notes


def sentence(collection: Collection, finding: Finding) -> str:
    """Return what was found of a pair, with the ids of both."""
    ids, shapes = collection.embeddings.ids, collection.shapes
    first, second = finding.first, finding.second
    names = printable(ids[first]), printable(ids[second])
    return describe(finding, names, (shapes[first], shapes[second]))


def _content(collection: Collection, analysis: Analysis) -> dict[str, Any]:
    embeddings, count = collection.embeddings, len(collection)
    root, files = _below_root(embeddings.sources)
    group_of = np.full(count, -1, dtype="<i2")
    for place, group in enumerate(analysis.groups):
        group_of[list(group.rows)] = place
    colors = class_colors(len(analysis.groups))
    shares = shares_not_closer(distances_of_pairs(embeddings.vectors), analysis.distances)
    return {
        "root": printable(root),
        "ids": [printable(name) for name in embeddings.ids],
        "files": [printable(name) for name in files],
        "facts": list(map(facts_of, collection.shapes, files)),
        "groups": [
            {"name": printable(group.name), "medoid": group.medoid, "count": len(group.rows),
             "color": color}
            for group, color in zip(analysis.groups, colors, strict=True)
        ],
        "groupOf": encoded(group_of),
        "outliers": list(analysis.outliers),
        "kinds": [{"kind": kind, "title": title} for kind, title in TITLES.items()],
        "findings": [
            {"kind": found.kind, "first": found.first, "second": found.second,
             "words": sentence(collection, found)}
            for found in analysis.findings
        ],
        "refused": [*map(printable, collection.refused),
                    *map(printable, tell_passed_over(collection.passed_over))],
        "places": encoded(np.rint(analysis.places * 32767).astype("<i2")),
        "nearestPerShape": analysis.neighbors.shape[1],
        "neighbors": encoded(analysis.neighbors.astype("<i4")),
        "distances": encoded(analysis.distances.astype("<f4")),
        "shares": encoded(shares.astype("<f4")),
        "pointsPerShape": KEPT_POINTS,
        "points": encoded(np.concatenate([levels_of(shape) for shape in collection.shapes])),
        "palette": palette_colors(),
    }  # fmt: skip


def _below_root(sources: tuple[str, ...]) -> tuple[str, list[str]]:
    """Split paths in the folder that all share, with its separator, and what is below it."""
    known = [str(Path(source).parent) for source in sources if source]
    if not known:
        return "", list(sources)
    try:
        root = os.path.join(os.path.commonpath(known), "")  # noqa: PTH118 - with the separator
    except ValueError:  # of several drives
        return "", list(sources)
    return root, [source[len(root) :] if source else "" for source in sources]


def facts_of(shape: Shape | None, name: str) -> dict[str, Any] | None:
    """Return the measures of a shape as the page has them, by the shape and its file's name."""
    if shape is None:
        return None
    unit = format_of(Path(name)).unit
    return ({"unit": unit} if unit else {}) | {
        "kind": shape.kind,
        "vertices": shape.vertices,
        "triangles": shape.triangles,
        "box": [_rounded(side) for side in shape.box],
        "area": None if shape.area is None else _rounded(shape.area),
        "volume": None if shape.volume is None else _rounded(shape.volume),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def levels_of(shape: Shape | None) -> NDArray[np.int8]:
    """Return points (KEPT_POINTS, 3) in 127ths of the radius; zeros where there is no shape."""
    if shape is None:
        return np.zeros((KEPT_POINTS, 3), dtype=np.int8)
    points = np.resize(shape.points, (KEPT_POINTS, 3))  # a small cloud's are repeated
    # About the middle of the box, so that the whole shape fills its picture.
    points = points - (points.min(axis=0) + points.max(axis=0)) / 2
    radius = max(float(np.linalg.norm(points, axis=1).max()), 1e-12)
    levels: NDArray[np.int8] = np.rint(points / radius * 127).astype(np.int8)
    return levels
