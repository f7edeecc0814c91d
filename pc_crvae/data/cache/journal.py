"""What became of one shape's file, as bytes: from a worker to its parent, and in a journal.

A record is a line of JSON and the numbers, each with its length in front, and a checksum.
"""

import json
import os
import struct
import zlib
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from pc_crvae.errors import UserError

_FRAME = struct.Struct("<III")
"""Bytes of JSON, bytes of numbers, CRC-32 of both."""

_BINARY: int = getattr(os, "O_BINARY", 0)  # of Windows


@dataclass(frozen=True, eq=False)
class ShapeRecord:
    """A prepared shape, or why there is none.

    Attributes:
        key: says which file it was made from, and in which state.
        rejected: the sentence why the file cannot be used; None where it can. The other
            attributes are then worth nothing.
        repairs: how often what was repaired in it.
        centre: what was subtracted from the points, z up, in the unit of the file.
        scale: what they were then divided by.
        arrays: (1, P, 3) float32 points, or (2, P, 3) with their normals behind; or a vector (d,).
    """

    key: str
    rejected: str | None
    repairs: dict[str, int]
    centre: tuple[float, float, float]
    scale: float
    arrays: NDArray[np.float32]

    @classmethod
    def of_rejected(cls, key: str, reason: str) -> Self:
        """The record of a file that cannot be used, for the reason given."""
        return cls(key, reason, {}, (0.0, 0.0, 0.0), 0.0, np.empty((0, 0, 3), np.float32))

    @classmethod
    def of_vector(cls, key: str, vector: NDArray[np.float32]) -> Self:
        """The record of a shape of which its vector (d,) is kept, in ``arrays``, and no points."""
        return cls(key, None, {}, (0.0, 0.0, 0.0), 0.0, vector)

    def to_bytes(self) -> bytes:
        """The record as :func:`read_record` reads it."""
        values = {name: value for name, value in vars(self).items() if name != "arrays"}
        text = json.dumps(values | {"shape": self.arrays.shape}).encode()
        numbers = self.arrays.astype("<f4").tobytes()
        return _FRAME.pack(len(text), len(numbers), zlib.crc32(text + numbers)) + text + numbers


def read_record(file: IO[bytes] | FileIO, limit: int | None = None) -> ShapeRecord | None:
    """Read the next record; None at the end, and where a record is cut short or damaged.

    Args:
        file: the file that it is read from.
        limit: the bytes that there can be, lest a damaged length ask for more memory than that.
    """
    frame = file.read(_FRAME.size)
    if frame is None or len(frame) < _FRAME.size:
        return None
    text_size, number_size, checksum = _FRAME.unpack(frame)
    if limit is not None and _FRAME.size + text_size + number_size > limit:
        return None
    content = file.read(text_size + number_size)
    if content is None or len(content) < text_size + number_size:
        return None
    if zlib.crc32(content) != checksum:
        return None
    values: dict[str, Any] = json.loads(content[:text_size])
    values["arrays"] = np.frombuffer(content, "<f4", offset=text_size).reshape(values.pop("shape"))
    values["centre"] = tuple(values["centre"])
    return ShapeRecord(**values)


class Journal:
    """Records that outlive the process that wrote them, however it ended.

    Records are only ever appended, each at once; what was cut short is dropped at the next start.

    Args:
        path: the path of the file, which is made if it is not there.
        heading: what the records are for; those of another heading are dropped.

    Raises:
        UserError: the file cannot be written.
    """

    def __init__(self, path: Path, heading: str) -> None:
        self._path = path
        self._places: dict[str, int] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered, so that what is appended is the system's at once, and outlives a kill.
            self._file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | _BINARY, 0o666), "r+")
            self._end = self._resume(heading.encode() + b"\n")
        except OSError as error:
            raise self._cannot_write(error) from error

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def append(self, record: ShapeRecord) -> None:
        """Add a record.

        Raises:
            UserError: the disk is full; the records so far are whole.
        """
        content = record.to_bytes()
        try:
            self._file.seek(self._end)
            self._write(content)
        except OSError as error:
            raise self._cannot_write(error) from error
        self._places[record.key] = self._end
        self._end += len(content)

    def read(self, key: str) -> ShapeRecord:
        """Return the record of ``key``."""
        self._file.seek(self._places[key])
        record = read_record(self._file)
        if record is None:
            raise RuntimeError(f"{self._path} was changed by another process")
        return record

    def close(self) -> None:
        """Leave the records for a later start."""
        self._file.close()

    def remove(self) -> None:
        """Delete the records: they have served."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _resume(self, heading: bytes) -> int:
        """Find the whole records of an earlier start and return where they end."""
        if self._file.read(len(heading)) != heading:
            self._file.seek(0)
            self._file.truncate()
            self._write(heading)
        size, end = os.fstat(self._file.fileno()).st_size, len(heading)
        while (record := read_record(self._file, size - end)) is not None:
            self._places[record.key] = end
            end = self._file.tell()
        self._file.truncate(end)
        return end

    def _write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            left = left[self._file.write(left) :]

    def _cannot_write(self, error: OSError) -> UserError:
        return UserError(
            f"could not write {self._path}: {error.strerror or error}; free some space or name "
            "another folder with $PC_CRVAE_CACHE (what was prepared so far is kept there, and the "
            "same command goes on from it)"
        )
