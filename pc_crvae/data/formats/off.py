"""OFF, the format of the ModelNet meshes: text, as its authors and Geomview define it.

Ours rather than trimesh's, whose reader keeps what is left of a truncated file without a word and
takes some six times as long.
"""

import re

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.number_text import as_indices, parse_numbers
from pc_crvae.data.formats.polygons import Polygons, grouped

_KEYWORD = re.compile(rb"(?:\xef\xbb\xbf)?\s*((?:ST)?C?N?)OFF(?![A-Za-z])")
"""Vertices may carry more than their place (texture, colour, normal), which is passed over."""

_COUNTS = re.compile(rb"\s*(\d{1,12})[ \t]+(\d{1,12})(?:[ \t]+-?\d+)?[ \t]*(?:[\r\n]|$)")
_LEAST_VERTEX, _LEAST_FACE = len(b"0 0 0\n"), len(b"0\n")


def parse_off(data: bytes) -> tuple[NDArray[np.float64], Polygons]:
    """Return vertices (V, 3) and faces of an OFF file.

    Some ModelNet files lack the line break after the keyword (``OFF3514 3546 0``), others end
    lines as Windows does: both load.

    Raises:
        ValueError, OverflowError: the file is none, or holds less than it promises.
    """
    if b"#" in data:
        data = re.sub(rb"#[^\r\n]*", b"", data)
    keyword = _KEYWORD.match(data)
    if keyword is None:
        raise ValueError("it does not start with OFF")
    counts = _COUNTS.match(data, keyword.end())
    if counts is None:
        raise ValueError("OFF is not followed by a line with the numbers of vertices and faces")
    vertex_count, face_count = int(counts[1]), int(counts[2])
    body = data[counts.end() :]
    # The last line may lack its break.
    if vertex_count * _LEAST_VERTEX + face_count * _LEAST_FACE > len(body) + 1:
        raise ValueError(
            f"it promises {vertex_count} vertices and {face_count} faces, more than its "
            f"{len(data)} bytes can hold"
        )
    if not keyword[1]:
        triangles = _plain_triangles(body, vertex_count, face_count)
        if triangles is not None:
            return triangles
    return _lines(body, vertex_count, face_count)


def _plain_triangles(
    body: bytes, vertex_count: int, face_count: int
) -> tuple[NDArray[np.float64], Polygons] | None:
    """Read the common form, nothing but triangles without colours, at once; else give None."""
    numbers = parse_numbers(body, 3 * vertex_count + 4 * face_count)
    if numbers is None:
        return None
    faces = as_indices(numbers[3 * vertex_count :])
    if faces is None:
        return None
    corners = faces.reshape(face_count, 4)
    if np.any(corners[:, 0] != 3):
        return None
    return numbers[: 3 * vertex_count].reshape(vertex_count, 3), [corners[:, 1:]]


def _lines(body: bytes, vertex_count: int, face_count: int) -> tuple[NDArray[np.float64], Polygons]:
    lines = [line for line in body.splitlines() if not line.isspace() and line]
    if len(lines) < vertex_count + face_count:
        raise ValueError(
            f"it ends after {len(lines)} of the {vertex_count + face_count} lines for its "
            f"{vertex_count} vertices and {face_count} faces"
        )
    places = [line.split()[:3] for line in lines[:vertex_count]]
    vertices = np.array(places, dtype=np.float64).reshape(vertex_count, 3)
    faces = []
    for line in lines[vertex_count : vertex_count + face_count]:
        corners = line.split()
        count = int(corners[0])
        if not 0 <= count < len(corners):
            raise ValueError(f"a face promises {count} corners and has {len(corners) - 1}")
        faces.append([int(corner) for corner in corners[1 : count + 1]])
    return vertices, grouped(faces)
