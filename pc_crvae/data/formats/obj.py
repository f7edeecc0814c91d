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
    vertices: list[bytes] = []
    faces: list[list[int]] = []
    for line in data.splitlines():
        key, _, rest = line.strip().replace(b"\t", b" ").partition(b" ")
        if key == b"v":
            vertices.append(rest)
        elif key == b"f":
            corners = [int(word) for word in _TEXTURE_OR_NORMAL.sub(b"", rest).split()]
            if corners and min(corners) <= 0:
                corners = [_counted_from_1(corner, len(vertices)) for corner in corners]
            faces.append(corners)
    return _places(vertices), [alike - 1 for alike in grouped(faces)]


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
