"""The faces of PLY meshes, text and binary, after Greg Turk's description of the format (1994).

Ours rather than trimesh's, which reads no binary file that mixes triangles with other polygons, as
many programs write them, and keeps what is left of a truncated text file without a word.
"""

import re
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.readers.number_text import as_indices, parse_numbers
from pc_crvae.data.readers.polygons import fan, fan_triangles

_LONGEST_HEADER = 2**16
_HEADER_END = re.compile(rb"^[ \t]*end_header[ \t]*(?:\r\n|\n)", re.MULTILINE)
_ORDERS = {b"ascii": "", b"binary_little_endian": "<", b"binary_big_endian": ">"}
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
_Columns = dict[str, Any]
"""By name of property: its values, (n,) numbers, or n lists of them, as (n, k) where all are k.

Those of a text may be words still.
"""


@dataclass(frozen=True)
class _Property:
    name: str
    code: str  # of its type, or of a list's entries, as struct and NumPy write it
    count_code: str = ""  # of a list's length


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)

    @property
    def least(self) -> int:
        """Bytes of a binary record whose lists are empty."""
        return sum(struct.calcsize(f"<{part.count_code or part.code}") for part in self.properties)


def parse_ply(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return vertices (V, 3) and triangles (T, 3); larger faces are cut into fans.

    Raises:
        ValueError, OverflowError: the file is none, or holds less than it promises.
    """
    order, elements, body = _parse_header(data)
    read = _binary_columns(body, elements, order) if order else _text_columns(body, elements)
    vertices, faces = read.get("vertex"), read.get("face")
    if vertices is None or not all(axis in vertices for axis in "xyz"):
        raise ValueError("it has no vertices with x, y and z")
    places = np.stack([np.array(vertices[axis], dtype=np.float64) for axis in "xyz"], axis=1)
    corners: Any = next((faces[name] for name in _CORNERS if faces and name in faces), [])
    if isinstance(corners, np.ndarray) and corners.ndim == 2:
        return places, fan(corners.astype(np.int64))
    return places, fan_triangles(corners)


def _parse_header(data: bytes) -> tuple[str, list[_Element], bytes]:
    end = _HEADER_END.search(data, 0, _LONGEST_HEADER)
    if data[:3].lower() != b"ply" or end is None:
        raise ValueError("it has no header that starts with ply and ends with end_header")
    order: str | None = None
    elements: list[_Element] = []
    for line in data[: end.start()].splitlines()[1:]:
        words = line.split()
        if not words or words[0] in (b"comment", b"obj_info"):
            continue
        names = [word.decode("latin-1") for word in words]
        try:
            match names:
                case ["format", _, _]:
                    order = _ORDERS[words[1]]
                case ["element", name, count] if re.fullmatch(r"\d{1,12}", count, re.ASCII):
                    elements.append(_Element(name, int(count)))
                case ["property", "list", counts, entries, name] if counts[0] not in "fd":
                    part = _Property(name, _CODES[entries], _CODES[counts])
                    elements[-1].properties.append(part)
                case ["property", kind, name]:
                    elements[-1].properties.append(_Property(name, _CODES[kind]))
                case _:
                    raise KeyError
        except LookupError as error:
            text = " ".join(names)[:60]
            raise ValueError(f"its header has a line that is none of PLY: {text!r}") from error
    if order is None:
        raise ValueError("its header does not say whether it is text or binary")
    return order, elements, data[end.end() :]


def _text_columns(body: bytes, elements: list[_Element]) -> dict[str, _Columns]:
    rows = [line for line in body.splitlines() if line and not line.isspace()]
    promised = sum(element.count for element in elements)
    if promised > len(rows):
        raise ValueError(f"its header promises {promised} lines, and {len(rows)} follow it")
    read: dict[str, _Columns] = {}
    start = 0
    for element in elements:
        lines = rows[start : start + element.count]
        start += element.count
        columns = _alike_rows(lines, element)
        if columns is None:
            records = [_text_record(row.split(), element) for row in lines]
            columns = list(zip(*records, strict=True)) or [[] for _ in element.properties]
        names = [part.name for part in element.properties]
        read[element.name] = dict(zip(names, columns, strict=True))
    return read


def _alike_rows(rows: list[bytes], element: _Element) -> list[Any] | None:
    """Parse rows at once that are numbers, or one list each, all of one length; else give None."""
    if not rows:
        return None
    width = len(rows[0].split())
    numbers = parse_numbers(b" ".join(rows), len(rows) * width)
    lists = [bool(part.count_code) for part in element.properties]
    if numbers is None or (lists != [True] and (any(lists) or len(lists) != width)):
        return None
    table = numbers.reshape(-1, width)
    if lists != [True]:
        return list(table.T)
    indices = as_indices(numbers)
    if indices is None or np.any(table[:, 0] != width - 1):
        return None
    return [indices.reshape(-1, width)[:, 1:]]


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
    raise ValueError(f"a line of {element.name} holds less than its header promises")


def _binary_columns(body: bytes, elements: list[_Element], order: str) -> dict[str, _Columns]:
    least = sum(element.count * element.least for element in elements)
    if least > len(body):
        promised = ", ".join(f"{element.count} of {element.name}" for element in elements)
        raise ValueError(
            f"its header promises {promised}, at least {least} bytes, and {len(body)} follow it"
        )
    read: dict[str, _Columns] = {}
    at = 0
    for element in elements:
        alike = _alike_records(body, at, element, order)
        if alike is None:
            read[element.name], at = _differing_records(body, at, element, order)
        else:
            read[element.name] = {
                part.name: alike[f"{row}"] for row, part in enumerate(element.properties)
            }
            at += alike.nbytes
    return read


def _alike_records(
    body: bytes, start: int, element: _Element, order: str
) -> NDArray[np.void] | None:
    """Read records at once whose lists are all as long as those of the first; else give None."""
    fields: list[tuple[Any, ...]] = []
    at = start
    lengths = {}
    for row, part in enumerate(element.properties):
        if part.count_code and element.count:
            if at + struct.calcsize(f"<{part.count_code}") > len(body):
                return None
            (length,) = struct.unpack_from(order + part.count_code, body, at)
            if not 0 <= length <= len(body):
                return None
            fields.append((f"{row} count", order + part.count_code))
            fields.append((f"{row}", order + part.code, (length,)))
            lengths[f"{row} count"] = length
        else:
            fields.append((f"{row}", order + part.code))
        at = start + np.dtype(fields).itemsize
    form = np.dtype(fields)
    if start + element.count * form.itemsize > len(body):
        return None
    table = np.frombuffer(body, form, element.count, start)
    return table if all(np.all(table[name] == length) for name, length in lengths.items()) else None


def _differing_records(
    body: bytes, start: int, element: _Element, order: str
) -> tuple[_Columns, int]:
    columns: _Columns = {part.name: [] for part in element.properties}
    at = start
    try:
        for _ in range(element.count):
            for part in element.properties:
                (value,) = struct.unpack_from(order + (part.count_code or part.code), body, at)
                at += struct.calcsize(f"<{part.count_code or part.code}")
                if part.count_code:
                    if not 0 <= value <= len(body):
                        raise ValueError(f"a list of {element.name} promises {value} entries")
                    entries = f"{order}{value}{part.code}"
                    value = struct.unpack_from(entries, body, at)
                    at += struct.calcsize(entries)
                columns[part.name].append(value)
    except struct.error as error:
        raise ValueError(f"it ends within the records of {element.name}") from error
    return columns, at
