"""STL, binary and text.

Ours rather than trimesh's, whose reader drops a text solid that is cut short without a word.
"""

import re

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.number_text import as_utf8, parse_numbers
from pc_crvae.data.formats.polygons import Polygons
from pc_crvae.data.formats.precision import as_single

_HEADER = 84
"""Bytes before the triangles of a binary file; the last four count them."""

_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])
_VERTEX_LINE = re.compile(rb"[\r\n][ \t]*vertex[ \t]([^\r\n]*)")
_SOLID = re.compile(rb"(?:^|[\r\n])[ \t]*(end[ \t]*)?solid")
_END_OF_FACET = re.compile(rb"end[ \t]*facet")


def parse_stl(data: bytes) -> tuple[NDArray[np.floating], Polygons]:
    """Return vertices (3 T, 3) and triangles, each with corners of its own.

    The vertices of a binary file are in single precision, as it stores them. What follows its
    triangles is passed over, as programs append colours or fill up blocks.

    Raises:
        ValueError: the file is of neither kind, or holds less than it promises, or more triangles.
    """
    promised = int.from_bytes(data[80:_HEADER], "little")
    size = _HEADER + promised * _TRIANGLE.itemsize
    corners: NDArray[np.floating]
    # The count of a text would be four of its characters, more than any file has triangles.
    if len(data) == size or (len(data) > size > _HEADER):
        corners = np.frombuffer(data, _TRIANGLE, promised, _HEADER)["corners"]
        _check_rest(data[size:], promised)
    elif (text := as_utf8(data))[:_HEADER].lstrip()[:5].lower() == b"solid":
        corners = as_single(_parse_text(text).reshape(-1, 3))
    else:
        raise ValueError(
            f"its header promises {promised} triangles, {size} bytes in all, and it has {len(data)}"
        )
    vertices = corners.reshape(-1, 3)
    return vertices, [np.arange(len(vertices), dtype=np.int64).reshape(-1, 3)]


def _check_rest(rest: bytes, promised: int) -> None:
    """Refuse triangles, or another file, behind the triangles that the header promises."""
    count = int.from_bytes(rest[80:_HEADER], "little")
    size = count * _TRIANGLE.itemsize
    if 0 < size <= len(rest) - _HEADER and _are_triangles(rest[_HEADER:][:size]):
        raise ValueError(
            f"another file of {count} triangles follows its {promised}: split the two, or store "
            "them as one"
        )
    if len(rest) % _TRIANGLE.itemsize == 0 and _are_triangles(rest):
        raise ValueError(
            f"its header promises {promised} triangles, and {len(rest) // _TRIANGLE.itemsize} more "
            "follow them"
        )


def _are_triangles(data: bytes) -> bool:
    """Whether whole triangles, not all of them zeros, could be such of a file."""
    if not data.strip(b"\0"):
        return False
    triangles = np.frombuffer(data, _TRIANGLE)
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(triangles["normal"].astype(np.float64), axis=1)
        normal = (np.abs(lengths - 1) < 1e-3) | (lengths == 0)
        fine = np.isfinite(triangles["corners"]).all(axis=(1, 2)) & normal
    return bool(fine.all())


def _parse_text(data: bytes) -> NDArray[np.float64]:
    text = data.lower()
    lines = _VERTEX_LINE.findall(text)
    ends = text.count(b"endfacet")
    if len(lines) != 3 * ends:
        ends = len(_END_OF_FACET.findall(text))
    if len(lines) != 3 * ends or not _is_whole(text):
        raise ValueError(f"its {len(lines)} corners are not those of {ends} whole facets in solids")
    places = parse_numbers(b" ".join(lines), 3 * len(lines))
    if places is None:
        raise ValueError("a corner of it is not three numbers")
    return places


def _is_whole(text: bytes) -> bool:
    """Whether each solid with facets ends; its first line may stand twice."""
    marks = [(mark.start(), mark[1] is not None) for mark in _SOLID.finditer(text)]
    starts = [*(start for start, _ in marks), len(text)]
    is_open = has_facets = False
    if _VERTEX_LINE.search(text, 0, starts[0]):
        return False
    for (start, is_end), stop in zip(marks, starts[1:], strict=True):
        if not is_end and is_open and has_facets:
            return False
        has_facets = _VERTEX_LINE.search(text, start, stop) is not None
        if is_end and has_facets:
            return False
        is_open = not is_end
    return not is_open
