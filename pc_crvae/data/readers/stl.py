"""STL, binary and text, through trimesh, held to what the file promises."""

import io
import re

import numpy as np
from numpy.typing import NDArray

_HEADER, _TRIANGLE = 84, 50
"""Bytes of a binary file's header, whose last four count the triangles, and of a triangle."""

_VERTEX_LINE = re.compile(rb"^[ \t]*vertex\b", re.IGNORECASE | re.MULTILINE)


def parse_stl(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices (3 T, 3) and triangles (T, 3), each with corners of its own.

    Raises:
        ValueError: the file is of neither kind, or holds less than it promises. trimesh raises
            others besides on damaged text.
    """
    from trimesh.exchange.stl import load_stl

    promised = int.from_bytes(data[80:_HEADER], "little")
    if len(data) >= _HEADER and len(data) == _HEADER + _TRIANGLE * promised:
        corners = 3 * promised
    elif data[:_HEADER].lstrip()[:5].lower() == b"solid":
        corners = len(_VERTEX_LINE.findall(data))
    else:
        raise ValueError(
            f"its header promises {promised} triangles, {_HEADER + _TRIANGLE * promised} bytes in "
            f"all, and it has {len(data)}"
        )
    loaded = load_stl(io.BytesIO(data))
    solids = [loaded] if "vertices" in loaded else list(loaded["geometry"].values())
    places = [np.asarray(solid["vertices"], np.float64).reshape(-1, 3) for solid in solids]
    vertices = np.concatenate(places) if places else np.empty((0, 3))
    if len(vertices) != corners:
        raise ValueError(f"{len(vertices)} of its {corners} corners belong to whole solids")
    return vertices, np.arange(corners, dtype=np.int64).reshape(-1, 3)
