"""STL, binary and text.

Ours rather than trimesh's, whose reader drops a text solid that is cut short without a word.
"""

import re

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.number_text import parse_numbers

_HEADER = 84
"""Bytes before the triangles of a binary file; the last four count them."""

_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])
_VERTEX_LINE = re.compile(rb"[\r\n][ \t]*vertex[ \t]([^\r\n]*)")
_SOLID = re.compile(rb"^[ \t]*(end)?solid\b", re.MULTILINE)


def parse_stl(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices (3 T, 3) and triangles (T, 3), each with corners of its own.

    Raises:
        ValueError: the file is of neither kind, or holds less than it promises.
    """
    promised = int.from_bytes(data[80:_HEADER], "little")
    size = _HEADER + promised * _TRIANGLE.itemsize
    if len(data) == size:
        corners = np.frombuffer(data, _TRIANGLE, offset=_HEADER)["corners"]
    elif data[:_HEADER].lstrip()[:5].lower() == b"solid":
        corners = _parse_text(data)
    else:
        raise ValueError(
            f"its header promises {promised} triangles, {size} bytes in all, and it has {len(data)}"
        )
    vertices = corners.reshape(-1, 3).astype(np.float64)
    return vertices, np.arange(len(vertices), dtype=np.int64).reshape(-1, 3)


def _parse_text(data: bytes) -> NDArray[np.float64]:
    text = data.lower()
    lines = _VERTEX_LINE.findall(text)
    ends = text.count(b"endfacet")
    marks = [bool(end) for end in _SOLID.findall(text)]
    if len(lines) != 3 * ends or marks != [False, True] * (len(marks) // 2):
        raise ValueError(f"its {len(lines)} corners are not those of {ends} whole facets in solids")
    places = parse_numbers(b" ".join(lines), 3 * len(lines))
    if places is None:
        raise ValueError("a corner of it is not three numbers")
    return places
