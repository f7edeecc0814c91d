"""Clouds of the Point Cloud Library: PCD files, ascii, binary or compressed.

The format is that of PCL's documentation ("The PCD file format", versions 0.5 to 0.7); the
compressed form holds one field after the other, packed by LZF (Lehmann's liblzf).
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.precision import as_single
from pc_crvae.data.formats.text import parse_rows, text_lines
from pc_crvae.errors import UserError

_LONGEST_HEADER = 1 << 20
_SIZES = {"I": (1, 2, 4, 8), "U": (1, 2, 4, 8), "F": (4, 8)}
"""Bytes of a number, by its kind: signed, unsigned or floating."""


@dataclass(frozen=True)
class _Field:
    name: str
    size: int
    kind: str
    count: int

    @property
    def bytes(self) -> int:
        return self.size * self.count


@dataclass(frozen=True)
class _Header:
    fields: list[_Field]
    points: int
    data: str
    end: int

    @property
    def record(self) -> int:
        return sum(field.bytes for field in self.fields)

    def positions(self) -> list[int]:
        """Return which fields are x, y and z."""
        names = [field.name for field in self.fields]
        return [names.index(axis) for axis in "xyz"]


def parse_pcd(path: Path, content: bytes) -> NDArray[np.floating]:
    """Parse the fields x, y and z of each point: (N, 3), of the type they are stored in.

    Raises:
        UserError: the file is damaged, or has no such fields.
    """
    header = _parse_header(path, content)
    body = content[header.end :]
    match header.data:
        case "ascii":
            return _parse_ascii(path, body, header)
        case "binary":
            _check_promise(path, header, len(body))
            return _columns(header, body)
        case _:
            return _columns(header, _unpack(path, body, header), by_field=True)


def unpack_lzf(packed: bytes, size: int) -> bytes:
    """Unpack an LZF stream that stands for ``size`` bytes.

    Raises:
        ValueError: it stands for another number of bytes, or points outside of itself.
    """
    out = bytearray()
    position = 0
    while position < len(packed):
        control = packed[position]
        position += 1
        if control < 32:  # so many bytes, and one, as they are
            literal = packed[position : position + control + 1]
            if len(literal) <= control:
                raise ValueError("a run goes beyond the end")
            out += literal
            position += control + 1
        else:  # what has been seen before: how much of it and how far back
            length = (control >> 5) + 2
            more = 2 if length == 9 else 1
            if position + more > len(packed):
                raise ValueError("a reference goes beyond the end")
            if more == 2:
                length += packed[position]
            back = ((control & 31) << 8 | packed[position + more - 1]) + 1
            position += more
            start = len(out) - back
            if start < 0:
                raise ValueError("a reference goes before the start")
            seen = bytes(out[start : start + length])
            # It may reach into what it is about to write, which then repeats.
            out += (seen * (length // back + 1))[:length] if back < length else seen
        if len(out) > size:
            raise ValueError(f"it stands for more than {size} bytes")
    if len(out) != size:
        raise ValueError(f"it stands for {len(out)} bytes, not {size}")
    return bytes(out)


def _parse_header(path: Path, content: bytes) -> _Header:
    entries: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in entries:
        stop = content.find(b"\n", start, _LONGEST_HEADER)
        if stop < 0:
            raise UserError(f"{path} is no PCD file or is damaged: its header has no line DATA")
        words = content[start:stop].decode("latin-1").split()
        start = stop + 1
        if words and not words[0].startswith("#"):
            entries.setdefault(words[0].upper(), words[1:])
    fields = _fields(path, entries)
    if entries["DATA"] not in (["ascii"], ["binary"], ["binary_compressed"]):
        raise UserError(f"{path} has data of an unknown form: {' '.join(entries['DATA'])[:80]!r}")
    return _Header(fields, _points(path, entries), entries["DATA"][0], start)


def _fields(path: Path, entries: dict[str, list[str]]) -> list[_Field]:
    names = [name.lower() for name in entries.get("FIELDS", entries.get("COLUMNS", []))]
    kinds = entries.get("TYPE", [])
    sizes = _integers(path, entries, "SIZE")
    counts = _integers(path, entries, "COUNT") if "COUNT" in entries else [1] * len(names)
    if not names or not len(names) == len(kinds) == len(sizes) == len(counts):
        raise UserError(f"{path} has a damaged header: FIELDS, SIZE, TYPE and COUNT do not match")
    described = zip(names, sizes, map(str.upper, kinds), counts, strict=True)
    fields = [_Field(*parts) for parts in described]
    for field in fields:
        if field.size not in _SIZES.get(field.kind, ()) or field.count == 0:
            raise UserError(
                f"{path} has a field {field.name[:80]} of an unknown type: {field.count} numbers "
                f"{field.kind[:8]} of {field.size} bytes"
            )
    for axis in "xyz":
        found = [field for field in fields if field.name == axis]
        if len(found) != 1 or found[0].count != 1:
            raise UserError(f"{path} has points without one number called {axis}")
    return fields


def _points(path: Path, entries: dict[str, list[str]]) -> int:
    width, height = _integers(path, entries, "WIDTH"), _integers(path, entries, "HEIGHT")
    points = _integers(path, entries, "POINTS")
    of_grid = width[0] * height[0] if len(width) == len(height) == 1 else None
    count = points[0] if len(points) == 1 else of_grid
    if count is None or (of_grid is not None and of_grid != count):
        raise UserError(f"{path} has a damaged header: WIDTH, HEIGHT and POINTS do not match")
    if count == 0:
        raise UserError(f"{path} holds no points")
    return count


def _integers(path: Path, entries: dict[str, list[str]], key: str) -> list[int]:
    words = entries.get(key, [])
    if not all(re.fullmatch(r"\d{1,10}", word, re.ASCII) for word in words):
        raise UserError(f"{path} has a damaged header: {key} {' '.join(words)[:80]!r}")
    return [int(word) for word in words]


def _check_promise(path: Path, header: _Header, there: int) -> None:
    if header.points * header.record > there:
        raise UserError(
            f"{path} is cut short: its header promises {header.points} points, which take "
            f"{header.points * header.record} bytes, and {there} are there"
        )


def _parse_ascii(path: Path, body: bytes, header: _Header) -> NDArray[np.floating]:
    lines = text_lines(path, body)
    if len(lines) != header.points:
        raise UserError(
            f"{path} is cut short or damaged: its header promises {header.points} points and "
            f"{len(lines)} are there"
        )
    places = header.positions()
    starts = np.cumsum([0, *(field.count for field in header.fields)])
    points = parse_rows(path, lines, starts[places].tolist())
    kinds = {(header.fields[place].kind, header.fields[place].size) for place in places}
    return as_single(points) if kinds == {("F", 4)} else points


def _unpack(path: Path, body: bytes, header: _Header) -> bytes:
    if len(body) < 8:
        raise UserError(f"{path} is cut short: its packed points are missing")
    packed, size = struct.unpack_from("<II", body)
    if packed > len(body) - 8:
        raise UserError(
            f"{path} is cut short: {packed} packed bytes are promised and {len(body) - 8} are there"
        )
    if size != header.points * header.record:
        raise UserError(
            f"{path} is damaged: {header.points} points take {header.points * header.record} "
            f"bytes, and the packed ones are said to stand for {size}"
        )
    try:
        return unpack_lzf(body[8 : 8 + packed], size)
    except ValueError as error:
        raise UserError(f"{path} is damaged: of its packed points, {error}") from error


def _columns(header: _Header, body: bytes, *, by_field: bool = False) -> NDArray[np.floating]:
    """Read x, y and z, of points one after another, or of fields each of all points."""
    columns = []
    for position in header.positions():
        field = header.fields[position]
        start, step = sum(before.bytes for before in header.fields[:position]), header.record
        if by_field:
            start, step = start * header.points, field.size
        kind = np.dtype(f"<{field.kind.lower()}{field.size}")
        columns.append(np.ndarray(header.points, kind, body, start, step))
    points: NDArray[Any] = np.stack(columns, axis=1)
    return points if points.dtype.kind == "f" else points.astype(np.float64)
