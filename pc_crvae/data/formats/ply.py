"""PLY files, text and binary, after Greg Turk's description of the format (1994).

A header names elements, each with a count and typed properties, of which some are lists; the
elements' records follow in that order. Ours rather than trimesh's, which reads no binary file that
mixes triangles with other polygons, as many programs write them, and keeps what is left of a
truncated text file without a word.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.number_text import as_indices
from pc_crvae.data.formats.polygons import Polygons, grouped, strip_triangles
from pc_crvae.data.formats.precision import as_single
from pc_crvae.errors import told

_LONGEST_HEADER = 1 << 20
_OPENING = re.compile(rb"(?:\xef\xbb\xbf)?ply[ \t]*(\r\n|\n|\r)", re.IGNORECASE)
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_CODES = {
    **dict.fromkeys(("char", "int8"), "b"),
    **dict.fromkeys(("uchar", "uint8"), "B"),
    **dict.fromkeys(("short", "int16"), "h"),
    **dict.fromkeys(("ushort", "uint16"), "H"),
    **dict.fromkeys(("int", "int32"), "i"),
    **dict.fromkeys(("uint", "uint32"), "I"),
    **dict.fromkeys(("float", "float32"), "f"),
    **dict.fromkeys(("double", "float64"), "d"),
}
_CORNERS = ("vertex_indices", "vertex_index")
_Columns = list[Any]
"""A property each: its values, (n,) numbers, or n lists of them, as (n, k) where all are k.

Those of a text may be words still.
"""


@dataclass(frozen=True)
class _Property:
    name: str
    code: str  # of its type, or of a list's entries, as struct and NumPy write it
    count_code: str = ""  # of a list's length; empty where it is no list

    @property
    def least(self) -> int:
        """Bytes of a value, or of a list that is empty."""
        return struct.calcsize(f"<{self.count_code or self.code}")


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)

    @property
    def least(self) -> int:
        """Bytes of all its records where their lists are empty."""
        return self.count * sum(part.least for part in self.properties)

    def place_of_corners(self) -> int | None:
        """Return where the list of corners lies that makes a surface; None without one."""
        rows = enumerate(self.properties)
        return next((row for row, p in rows if p.count_code and p.name in _CORNERS), None)

    def place_of(self, axis: str) -> int:
        """Return where among the properties the coordinate lies."""
        found = [row for row, part in enumerate(self.properties) if part.name == axis]
        if len(found) != 1 or self.properties[found[0]].count_code:
            raise ValueError(
                f"it has no vertices with x, y and z: there should be one number called {axis}"
            )
        return found[0]


@dataclass(frozen=True)
class _Header:
    order: str  # of bytes, as struct writes it; empty for text
    elements: dict[str, _Element]
    end: int


def parse_ply(data: bytes) -> tuple[NDArray[np.floating], Polygons]:
    """Parse vertices (V, 3), of the type they are stored in, and faces, also of triangle strips.

    Raises:
        ValueError, OverflowError: the file is none, or holds less than it promises, be it of
            elements that are neither vertices nor faces, or a surface of another kind.
    """
    header = _parse_header(data)
    vertices, read = _read(data, header, list(header.elements.values()))
    faces: Polygons = []
    for element in header.elements.values():
        row = element.place_of_corners()
        if row is None or element.count == 0:
            continue
        if element.properties[row].code in "fd":
            raise ValueError("the corners of its faces are not whole numbers")
        if element.name not in _SURFACES:
            raise ValueError(f"its surface is of {element.name[:40]!r}, not read: save faces")
        faces += _SURFACES[element.name](read[element.name][row])
    return vertices, faces


def parse_ply_cloud(path: Path, data: bytes) -> NDArray[np.floating]:
    """Return the vertices alone: (V, 3), of the type they are stored in.

    What lies behind them is not read: a face list that is damaged or cut short is not refused.

    Raises:
        UserError: the file is none, or holds less than it promises of the vertices and what
            precedes them.
    """
    damage, remedy = (ValueError, OverflowError), "repair it or leave it out"
    with told(f"{path} is damaged or no PLY file", *damage, remedy=remedy):
        header = _parse_header(data)
        wanted = list(header.elements).index("vertex") + 1
        return _read(data, header, list(header.elements.values())[:wanted])[0]


def has_faces(data: bytes) -> bool:
    """Whether the header of a file promises a face or more, so that it is a mesh."""
    try:
        elements = _parse_header(data).elements.values()
    except ValueError:  # which whoever reads it raises in its turn
        return re.search(rb"^[ \t]*element[ \t]+face\b", data[:_LONGEST_HEADER], re.M) is not None
    return any(
        element.count > 0 and (element.name == "face" or element.place_of_corners() is not None)
        for element in elements
    )


def _read(
    data: bytes, header: _Header, elements: list[_Element]
) -> tuple[NDArray[np.floating], dict[str, _Columns]]:
    """Read ``elements``, the first ones of the file: places of the vertices, and all columns."""
    vertex = header.elements["vertex"]
    places = [vertex.place_of(axis) for axis in "xyz"]
    # Without properties there are neither lines nor bytes.
    elements = [element for element in elements if element.properties]
    if header.order:
        read = _binary_columns(data, header.end, elements, header.order)
    else:
        read = _text_columns(data[header.end :], elements)
    try:
        numbers = [np.asarray(read["vertex"][row]) for row in places]
        columns = [c if c.dtype.kind in "fiu" else c.astype(np.float64) for c in numbers]
        points: NDArray[Any] = np.stack(columns, axis=1)
        if points.dtype.kind != "f":  # whole numbers, which double precision holds
            return points.astype(np.float64), read
    except (ValueError, TypeError) as error:
        raise ValueError(f"it has a line of vertex that is not one of numbers: {error}") from error
    if all(vertex.properties[row].code == "f" for row in places):
        return as_single(points), read
    return points.astype(points.dtype.newbyteorder("=")), read


def _polygons(corners: Any) -> Polygons:
    return [corners.astype(np.int64)] if isinstance(corners, np.ndarray) else grouped(corners)


def _strips(lists: Any) -> Polygons:
    """Cut strips into triangles; -1 ends a strip within one."""
    found = [np.empty((0, 3), np.int64)]
    for strip in lists:
        corners = np.array(strip, dtype=np.int64)
        runs = np.split(corners, np.flatnonzero(corners == -1))
        found += [strip_triangles(run[run != -1]) for run in runs]
    return [np.concatenate(found)]


_SURFACES: dict[str, Callable[[Any], Polygons]] = {
    "face": _polygons,
    "tristrips": _strips,
}
"""By the name of an element with corners, what makes faces of it."""


def _parse_header(data: bytes) -> _Header:
    lines, end = _header_lines(data)
    order: str | None = None
    elements: list[_Element] = []
    for line in lines:
        try:
            match line.split():
                case [] | ["comment" | "obj_info", *_]:
                    pass
                case ["format", name, _]:
                    order = _ORDERS[name]
                case ["element", name, count] if re.fullmatch(r"\d{1,15}", count, re.ASCII):
                    elements.append(_Element(name, int(count)))
                case ["property", "list", counts, entries, name] if _CODES[counts] not in "fd":
                    part = _Property(name, _CODES[entries], _CODES[counts])
                    elements[-1].properties.append(part)
                case ["property", kind, name]:
                    elements[-1].properties.append(_Property(name, _CODES[kind]))
                case _:
                    raise KeyError(line)
        except LookupError as error:
            text = " ".join(line.split())[:60]
            raise ValueError(
                f"it has a line in its header that is none of PLY: {text!r}"
            ) from error
    if order is None:
        raise ValueError("its header does not say whether it is ascii text or binary")
    by_name = {element.name: element for element in elements}
    if len(by_name) < len(elements):
        raise ValueError("its header has two elements of one name")
    if "vertex" not in by_name:
        raise ValueError("it has no element 'vertex'")
    return _Header(order, by_name, end)


def _header_lines(data: bytes) -> tuple[list[str], int]:
    """Return the lines between ``ply`` and ``end_header``, and where the line after it starts."""
    opening = _OPENING.match(data)
    if opening is None:
        raise ValueError("it has no header: its first line is not 'ply'")
    # Bytes that follow a header of old Macintosh lines may look like the line end of others.
    line_end, start = (b"\r" if opening[1] == b"\r" else b"\n"), opening.end()
    lines: list[str] = []
    while (stop := data.find(line_end, start, _LONGEST_HEADER)) >= 0:
        line = data[start:stop].decode("latin-1").strip()
        start = stop + 1
        if line == "end_header":
            return lines, start
        lines.append(line)
    raise ValueError("it has no header that is whole: the header does not end")


def _text_columns(body: bytes, elements: list[_Element]) -> dict[str, _Columns]:
    rows = [line for line in body.splitlines() if line and not line.isspace()]
    promised = sum(element.count for element in elements)
    if promised > len(rows):
        raise ValueError(
            f"it is cut short: its header promises {promised} lines, and {len(rows)} follow it"
        )
    read: dict[str, _Columns] = {}
    start = 0
    for element in elements:
        lines = rows[start : start + element.count]
        start += element.count
        columns = _alike_rows(lines, element)
        if columns is None:
            records = [_text_record(row.split(), element) for row in lines]
            columns = list(zip(*records, strict=True)) or [[] for _ in element.properties]
        read[element.name] = columns
    return read


def _alike_rows(rows: list[bytes], element: _Element) -> _Columns | None:
    """Parse rows at once that are numbers, or one list each, all of one length; else give None."""
    if not rows:
        return None
    try:
        table = np.loadtxt(rows, comments=None, ndmin=2, encoding="latin-1")
    except ValueError:  # of rows that differ, or words, which are looked at one by one
        return None
    lists = [bool(part.count_code) for part in element.properties]
    if lists != [True] and (any(lists) or len(lists) != table.shape[1]):
        return None
    if lists != [True]:
        return list(table.T)
    indices = as_indices(table)
    if indices is None or np.any(indices[:, 0] != table.shape[1] - 1):
        return None
    return [indices[:, 1:]]


def _text_record(row: list[bytes], element: _Element) -> list[Any]:
    record: list[Any] = []
    at = 0
    for part in element.properties:
        if at >= len(row):
            break
        if part.count_code:
            count = int(row[at])
            record.append(row[at + 1 : at + 1 + count])
            at += 1 + count
            if count < 0 or at > len(row):
                break
        else:
            record.append(row[at])
            at += 1
    else:
        return record
    raise ValueError(
        f"it has a damaged line: a line of {element.name} holds less than its header promises"
    )


def _binary_columns(
    data: bytes, start: int, elements: list[_Element], order: str
) -> dict[str, _Columns]:
    least, there = sum(element.least for element in elements), len(data) - start
    if least > there:
        promised = ", ".join(f"{element.count} of {element.name}" for element in elements)
        raise ValueError(
            f"it is cut short: its header promises {promised}, {least} bytes or more, and {there} "
            "follow it"
        )
    read: dict[str, _Columns] = {}
    for element in elements:
        alike = _alike_records(data, start, element, order)
        if alike is None:
            read[element.name], start = _differing_records(data, start, element, order)
        else:
            read[element.name] = [alike[f"{row}"] for row in range(len(element.properties))]
            start += alike.nbytes
    return read


def _alike_records(
    data: bytes, start: int, element: _Element, order: str
) -> NDArray[np.void] | None:
    """Read records at once whose lists are all as long as those of the first; else give None."""
    fields: list[tuple[Any, ...]] = []
    lengths: dict[str, int] = {}
    at = start
    for row, part in enumerate(element.properties):
        if part.count_code and element.count:
            if at + part.least > len(data):
                return None
            (length,) = struct.unpack_from(order + part.count_code, data, at)
            at += part.least + length * struct.calcsize(f"<{part.code}")
            if length < 0 or at > len(data):
                return None
            fields.append((f"{row} count", order + part.count_code))
            fields.append((f"{row}", order + part.code, (length,)))
            lengths[f"{row} count"] = length
        else:
            fields.append((f"{row}", order + part.code))
            at += part.least
    if start + element.count * (at - start) > len(data):
        return None
    table = np.frombuffer(data, np.dtype(fields), element.count, start)
    return table if all(np.all(table[name] == length) for name, length in lengths.items()) else None


def _differing_records(
    data: bytes, start: int, element: _Element, order: str
) -> tuple[_Columns, int]:
    columns: _Columns = [[] for _ in element.properties]
    parts = [
        (column, part.count_code, part.code, struct.Struct(order + (part.count_code or part.code)))
        for column, part in zip(columns, element.properties, strict=True)
    ]
    try:
        for _ in range(element.count):
            for column, is_list, code, form in parts:
                (value,) = form.unpack_from(data, start)
                start += form.size
                if is_list:
                    if value < 0:
                        raise ValueError(
                            f"it is damaged: a list has {value} entries, among the records of "
                            f"{element.name}"
                        )
                    entries = f"{order}{value}{code}"
                    value = struct.unpack_from(entries, data, start)
                    start += struct.calcsize(entries)
                column.append(value)
    except struct.error as error:
        raise ValueError(
            f"it is cut short or damaged: it ends within the records of {element.name}"
        ) from error
    return columns, start
