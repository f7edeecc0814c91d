"""Wavefront OBJ: vertices and faces of the whole file, whatever its objects and materials.

Ours rather than trimesh's, whose reader counts relative indices from the end of the file instead
of the face they stand in, and skips lines that are indented or hold tabs.
"""

import re

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.number_text import as_utf8, parse_numbers
from pc_crvae.data.formats.polygons import Polygons, grouped

_COMMENT = re.compile(rb"#[^\r\n]*")
_CONTINUED = re.compile(
    rb"^[ \t]*[vf][ \t](?:[^\r\n\\]|\\(?:[ \t]*(?:\r\n|\n|\r))?)*", re.MULTILINE
)
"""A vertex or face with the lines that go on with it. Of others, a name may end in a backslash."""

_OF_VERTEX, _OF_FACE = (b"v ", b"v"), (b"f ", b"f")
"""What their lines begin with, blanks at both ends left out; the latter says nothing more."""

_ODD = (b"-", b" /", b"\v", b"\f")
"""What makes a line more than three numbers: one counts backwards, or a word is hidden."""

_LINES_AT_ONCE = 1 << 16

_LINE_END = re.compile(rb"\\[ \t]*(?:\r\n|\n|\r)")
_TEXTURE_OR_NORMAL = re.compile(rb"/[^ ]*")


def parse_obj(data: bytes) -> tuple[NDArray[np.float64], Polygons]:
    """Return vertices (V, 3) and faces.

    Texture, normals, groups and materials are passed over, and no other file is read.

    Raises:
        ValueError, OverflowError: a vertex or a face cannot be read.
    """
    data = as_utf8(data)
    if b"#" in data:  # before lines are joined: a comment may end in a backslash, as paths do
        data = _COMMENT.sub(b"", data)
    if b"\\" in data:
        data = _CONTINUED.sub(lambda line: _LINE_END.sub(b" ", line[0]), data)
    data = data.replace(b"\t", b" ")
    vertices, faces = [], []
    for line in data.splitlines():
        line = line.strip()
        if line[:2] in _OF_VERTEX:
            vertices.append(line[2:])
        elif line[:2] in _OF_FACE:
            faces.append(line[2:])
    corners = _triangles(faces)
    if corners is None:
        corners = _of_any_kind(data)
    return _places(vertices), [alike - 1 for alike in corners]


def _triangles(lines: list[bytes]) -> Polygons | None:
    """Return the corners of faces, counted from 1; None where not all are plain triangles.

    That is many times as fast as face by face.
    """
    if not lines or any(line.count(b" ") != 2 for line in lines):
        return None
    triangles = np.empty((len(lines), 3), dtype=np.int64)
    for start in range(0, len(lines), _LINES_AT_ONCE):
        part = triangles[start : start + _LINES_AT_ONCE]
        text = b" " + b" ".join(lines[start : start + _LINES_AT_ONCE])
        words = _TEXTURE_OR_NORMAL.sub(b"", text).split()
        if len(words) != part.size or any(odd in text for odd in _ODD):
            return None
        part[:] = np.fromiter(map(int, words), np.int64, part.size).reshape(-1, 3)
    return [triangles] if triangles.min() > 0 else None


def _of_any_kind(data: bytes) -> Polygons:
    """Return the corners of faces, counted from 1, some perhaps backwards from where they stand."""
    vertices = 0
    faces: list[list[int]] = []
    for line in data.splitlines():
        line = line.strip()
        if line[:2] in _OF_VERTEX:
            vertices += 1
        elif line[:2] in _OF_FACE:
            corners = [int(word) for word in _TEXTURE_OR_NORMAL.sub(b"", line[2:]).split()]
            faces.append([_counted_from_1(corner, vertices) for corner in corners])
    return grouped(faces)


def _places(lines: list[bytes]) -> NDArray[np.float64]:
    places = parse_numbers(b" ".join(lines), 3 * len(lines))
    if places is None:  # colours may follow, or a weight
        places = np.array([line.split()[:3] for line in lines], dtype=np.float64)
    return places.reshape(len(lines), 3)


def _counted_from_1(index: int, vertices: int) -> int:
    """Return a vertex's number, where a negative one counts backwards from the last so far."""
    if index == 0 or index < -vertices:
        raise ValueError(f"a face names the vertex {index}, where {vertices} precede it")
    return index if index > 0 else vertices + index + 1
