"""The faces of PLY meshes, through trimesh, held to what the file promises."""

import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.readers.polygons import fan, fan_triangles

_LONGEST_HEADER = 2**16
_HEADER_END = re.compile(rb"^[ \t]*end_header[ \t]*\r?\n", re.MULTILINE)
_BYTES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16", "float16"), 2),
    **dict.fromkeys(("int", "uint", "int32", "uint32", "float", "float32"), 4),
    **dict.fromkeys(("double", "float64", "int64", "uint64"), 8),
}


@dataclass(frozen=True)
class _Element:
    """Rows of one kind: the bytes of their properties, and which of these are lists."""

    name: str
    count: int
    sizes: list[int]
    lists: list[bool]


def parse_ply(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices (V, 3) and triangles (T, 3); larger faces are cut into fans.

    Raises:
        ValueError: the file is none, holds less than it promises, or is a binary one whose faces
            have different numbers of corners. trimesh raises others besides on damaged files.
    """
    from trimesh.exchange.ply import load_ply

    binary, elements, body = _header(data)
    if binary:
        _check_size(elements, body)
    else:
        _check_rows(elements, body)
    loaded = load_ply(io.BytesIO(data), fix_texture=False, skip_materials=True)
    if "vertices" not in loaded:
        return np.empty((0, 3)), np.empty((0, 3), np.int64)
    vertices = np.asarray(loaded["vertices"], dtype=np.float64)
    if loaded.get("faces") is None:
        return vertices, np.empty((0, 3), np.int64)
    _check_binary_lists(loaded["metadata"]["_ply_raw"])
    faces = loaded["faces"]
    whole = isinstance(faces, np.ndarray) and faces.ndim == 2
    return vertices, fan(faces.astype(np.int64)) if whole else fan_triangles(faces)


def _header(data: bytes) -> tuple[bool, list[_Element], bytes]:
    end = _HEADER_END.search(data, 0, _LONGEST_HEADER)
    if data[:3].lower() != b"ply" or end is None:
        raise ValueError("it has no header that starts with ply and ends with end_header")
    form = b""
    elements: list[_Element] = []
    for line in data[: end.start()].splitlines()[1:]:
        words = line.split()
        if not words or words[0] in (b"comment", b"obj_info"):
            continue
        text = " ".join(word.decode("ascii", "replace") for word in words)
        try:
            if words[0] == b"format":
                form = words[1]
            elif words[0] == b"element":
                elements.append(_Element(words[1].decode(), _count(words[2]), [], []))
            elif words[0] == b"property":
                elements[-1].sizes.append(_BYTES[words[-2 if words[1] != b"list" else 2].decode()])
                elements[-1].lists.append(words[1] == b"list")
        except (IndexError, KeyError, ValueError) as error:
            raise ValueError(f"its header has a line that is none of PLY: {text[:60]}") from error
    if form not in (b"ascii", b"binary_little_endian", b"binary_big_endian"):
        raise ValueError("its header names no format of PLY")
    return form != b"ascii", elements, data[end.end() :]


def _count(word: bytes) -> int:
    if re.fullmatch(rb"\d{1,12}", word) is None:
        raise ValueError
    return int(word)


def _check_size(elements: list[_Element], body: bytes) -> None:
    least = sum(element.count * sum(element.sizes) for element in elements)
    if least > len(body):
        promised = ", ".join(f"{element.count} of {element.name}" for element in elements)
        raise ValueError(
            f"its header promises {promised}, at least {least} bytes, and {len(body)} follow it"
        )


def _check_rows(elements: list[_Element], body: bytes) -> None:
    rows = [line.split() for line in body.splitlines()]
    promised = sum(element.count for element in elements)
    if promised > len(rows):
        raise ValueError(f"its header promises {promised} lines, and {len(rows)} follow it")
    start = 0
    for element in elements:
        for row in rows[start : start + element.count]:
            needed = 0
            for is_list in element.lists:
                if needed >= len(row):
                    break
                needed += 1 + (int(row[needed]) if is_list else 0)
            if needed > len(row) or len(row) < len(element.lists):
                raise ValueError(f"a line of {element.name} holds less than the header promises")
        start += element.count


def _check_binary_lists(elements: Any) -> None:
    """Refuse faces that trimesh read by the number of corners of the first, if others differ."""
    table = elements["face"]["data"]
    if not isinstance(table, np.ndarray):
        return
    for name in table.dtype.names or ():
        field = table[name]
        if field.dtype.names is None:
            continue
        if np.any(field["f0"] != field["f1"].shape[-1]):
            raise ValueError(
                "its faces have different numbers of corners, which is read from text PLY only: "
                "save it as triangles or as text"
            )
