"""Wavefront OBJ: vertices and faces of the whole file, whatever its objects and materials.

Ours rather than trimesh's, whose reader counts relative indices from the end of the file instead
of the face they stand in, and skips lines that are indented or hold tabs.
"""

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.readers.polygons import fan_triangles


def parse_obj(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices (V, 3) and triangles (T, 3); larger faces are cut into fans.

    Texture, normals, groups and materials are passed over, and no other file is read.

    Raises:
        ValueError, OverflowError: a vertex or a face cannot be read.
    """
    if b"\\" in data:
        data = data.replace(b"\\\r\n", b" ").replace(b"\\\n", b" ")
    vertices: list[list[bytes]] = []
    faces: list[list[int]] = []
    for line in data.splitlines():
        words = line.split(b"#", 1)[0].split()
        if not words:
            continue
        if words[0] == b"v":
            vertices.append(words[1:4])
        elif words[0] == b"f":
            faces.append([_corner(word, len(vertices)) for word in words[1:]])
    places = np.array(vertices, dtype=np.float64)
    return places.reshape(len(vertices), 3), fan_triangles(faces)


def _corner(word: bytes, vertices: int) -> int:
    """Return the index from 0 of ``vertex/texture/normal``; a negative one counts backwards."""
    index = int(word.split(b"/", 1)[0])
    if index == 0 or index < -vertices:
        raise ValueError(f"a face names the vertex {index}, where {vertices} precede it")
    return index - 1 if index > 0 else vertices + index
