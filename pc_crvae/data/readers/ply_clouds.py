"""The vertices of PLY files: ascii or binary, whatever else they hold.

The format is Greg Turk's (1994): a header names elements, each with a count and typed
properties, of which some are lists; the elements' records follow in that order.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.readers.text_clouds import parse_rows, text_lines
from pc_crvae.errors import UserError

_LONGEST_HEADER = 1 << 20
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
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True)
class _Property:
    name: str
    code: str  # of its type, or of a list's entries, as struct and NumPy write it
    count_code: str | None = None  # of a list's length; None where it is no list


@dataclass(frozen=True)
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)

    @property
    def has_lists(self) -> bool:
        return any(item.count_code for item in self.properties)

    @property
    def least_bytes(self) -> int:
        """What a binary record takes, its lists empty."""
        return sum(struct.calcsize(f"<{item.count_code or item.code}") for item in self.properties)


@dataclass(frozen=True)
class _Header:
    order: str  # of bytes, as struct writes it; empty for ascii
    elements: list[_Element]
    end: int

    def vertices(self, path: Path) -> tuple[list[_Element], _Element]:
        """Return the elements before the vertices, and the vertices."""
        for position, element in enumerate(self.elements):
            if element.name == "vertex":
                _check_vertices(path, element)
                return self.elements[:position], element
        raise UserError(f"{path} has no element 'vertex', so no points")


def parse_ply(path: Path, content: bytes) -> NDArray[np.float64]:
    """Parse x, y and z of the element ``vertex``: (N, 3).

    Raises:
        UserError: the file is damaged, or has no vertices with x, y and z.
    """
    header = _parse_header(path, content)
    before, vertices = header.vertices(path)
    if not header.order:
        return _parse_ascii(path, content[header.end :], before, vertices)
    start = header.end
    for element in before:
        start = _skip(path, content, start, header.order, element)
    _check_promise(path, vertices, vertices.least_bytes, len(content) - start)
    if vertices.has_lists:
        return _parse_records(path, content, start, header.order, vertices)
    names = [item.name for item in vertices.properties]
    sizes = [struct.calcsize(f"<{item.code}") for item in vertices.properties]
    columns = [names.index(axis) for axis in "xyz"]
    record = np.dtype(
        {
            "names": ["x", "y", "z"],
            "formats": [header.order + vertices.properties[column].code for column in columns],
            "offsets": [sum(sizes[:column]) for column in columns],
            "itemsize": sum(sizes),
        }
    )
    table = np.frombuffer(content, record, vertices.count, start)
    return np.stack([table[axis].astype(np.float64) for axis in "xyz"], axis=1)


def _parse_header(path: Path, content: bytes) -> _Header:
    lines = _header_lines(path, content)
    order: str | None = None
    elements: list[_Element] = []
    end = 0
    for line, end in lines:  # noqa: B007
        words = line.split()
        match words:
            case ["format", name, _] if name in _ORDERS:
                order = _ORDERS[name]
            case ["element", name, count] if re.fullmatch(r"\d{1,15}", count, re.ASCII):
                elements.append(_Element(name, int(count)))
            case ["property", "list", counts, entries, name] if (
                elements and _CODES.get(counts, "f") not in "fd" and entries in _CODES
            ):
                elements[-1].properties.append(_Property(name, _CODES[entries], _CODES[counts]))
            case ["property", kind, name] if elements and kind in _CODES:
                elements[-1].properties.append(_Property(name, _CODES[kind]))
            case [] | ["comment" | "obj_info", *_]:
                pass
            case _:
                raise UserError(f"{path} has a line in its PLY header that is none: {line[:80]!r}")
    if order is None:
        raise UserError(f"{path} does not say in its PLY header whether it is ascii or binary")
    return _Header(order, elements, end)


def _header_lines(path: Path, content: bytes) -> Iterator[tuple[str, int]]:
    """Yield the lines between ``ply`` and ``end_header``, and where the line after each starts."""
    opening = re.match(rb"ply[ \t]*(\r\n|\n|\r)", content)
    if opening is None:
        raise UserError(f"{path} is no PLY file: its first line is not 'ply'")
    line_end, start = b"\r" if opening[1] == b"\r" else b"\n", opening.end()
    while True:
        stop = content.find(line_end, start, _LONGEST_HEADER)
        if stop < 0:
            raise UserError(f"{path} is cut short or damaged: its PLY header does not end")
        line = content[start:stop].decode("latin-1").strip()
        start = stop + 1
        if line == "end_header":
            yield "", start
            return
        yield line, start


def _check_vertices(path: Path, vertices: _Element) -> None:
    if vertices.count == 0:
        raise UserError(f"{path} holds no points")
    for axis in "xyz":
        found = [item for item in vertices.properties if item.name == axis]
        if len(found) != 1 or found[0].count_code:
            raise UserError(f"{path} has vertices without one number called {axis}")


def _check_promise(path: Path, element: _Element, least: int, there: int) -> None:
    if element.count * least > there:
        raise UserError(
            f"{path} is cut short: its header promises {element.count} of '{element.name}', "
            f"which take {element.count * least} bytes or more, and {there} are there"
        )


def _parse_ascii(
    path: Path, body: bytes, before: list[_Element], vertices: _Element
) -> NDArray[np.float64]:
    lines = text_lines(path, body)
    start = sum(element.count for element in before if element.properties)
    rows = lines[start : start + vertices.count]
    if len(rows) < vertices.count:
        raise UserError(
            f"{path} is cut short: its header promises {vertices.count} points and {len(rows)} "
            "are there"
        )
    if vertices.has_lists:
        rows = [_without_lists(path, row, vertices) for row in rows]
    names = [item.name for item in vertices.properties if not item.count_code]
    return parse_rows(path, rows, [names.index(axis) for axis in "xyz"])


def _without_lists(path: Path, row: str, element: _Element) -> str:
    words = iter(row.split())
    kept = []
    try:
        for item in element.properties:
            if item.count_code:
                length = int(next(words))
                if length < 0:
                    raise ValueError("a list of less than nothing")
                for _ in range(length):
                    next(words)
            else:
                kept.append(next(words))
    except (StopIteration, ValueError) as error:
        raise UserError(f"{path} has a damaged line: {row[:80]!r}") from error
    return " ".join(kept)


def _skip(path: Path, content: bytes, start: int, order: str, element: _Element) -> int:
    """Return where the records of ``element`` end."""
    if not element.properties:
        return start
    _check_promise(path, element, element.least_bytes, len(content) - start)
    if not element.has_lists:
        return start + element.count * element.least_bytes
    for _, end in _records(path, content, start, order, element):
        start = end
    return start


def _parse_records(
    path: Path, content: bytes, start: int, order: str, vertices: _Element
) -> NDArray[np.float64]:
    points = np.empty((vertices.count, 3))
    for row, (record, _) in enumerate(_records(path, content, start, order, vertices)):
        points[row] = record["x"], record["y"], record["z"]
    return points


def _records(
    path: Path, content: bytes, start: int, order: str, element: _Element
) -> Iterator[tuple[dict[str, float], int]]:
    """Yield the numbers of each record that are no lists, and where the record ends."""
    formats = [
        (item, struct.Struct(order + (item.count_code or item.code))) for item in element.properties
    ]
    try:
        for _ in range(element.count):
            record = {}
            for item, form in formats:
                (number,) = form.unpack_from(content, start)
                start += form.size
                if item.count_code:
                    if number < 0:
                        raise UserError(f"{path} is damaged: a list has {number} entries")
                    start += number * struct.calcsize(f"<{item.code}")
                else:
                    record[item.name] = number
            yield record, start
    except struct.error as error:
        raise UserError(
            f"{path} is cut short or damaged: a record of '{element.name}' runs beyond its end"
        ) from error
