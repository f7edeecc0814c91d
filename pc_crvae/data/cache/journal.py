"""What was found of many files, kept on the disk as it comes, until all of it is there."""

import os
import struct
import zlib
from io import FileIO
from pathlib import Path

from pc_crvae.errors import UserError
from pc_crvae.utils.workers import Found, pack, unpack

_FRAME = struct.Struct("<QI")
"""Bytes of a record, and their CRC-32."""


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
            self._file = FileIO(path, "a+")
            self._end = self._resume(heading.encode() + b"\n")
        except OSError as error:
            raise self._cannot_write(error) from error

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def append(self, key: str, found: Found) -> None:
        """Add what was found under a key.

        Raises:
            UserError: the disk is full; the records so far are whole.
        """
        values, arrays = found
        content = pack({"key": key, **values}, arrays)
        frame = _FRAME.pack(len(content), zlib.crc32(content))
        try:
            self._write(frame + content)
        except OSError as error:
            raise self._cannot_write(error) from error
        self._places[key] = self._end
        self._end += len(frame) + len(content)

    def read(self, key: str) -> Found:
        """Return what was found under ``key``."""
        self._file.seek(self._places[key])
        found = self._next()
        if found is None:
            raise RuntimeError(f"{self._path} was changed by another process")
        return found

    def close(self) -> None:
        """Leave the records for a later start."""
        self._file.close()

    def remove(self) -> None:
        """Delete the records: they have served."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _resume(self, heading: bytes) -> int:
        """Find the whole records of an earlier start and return where they end."""
        self._file.seek(0)
        if self._file.read(len(heading)) != heading:
            self._file.truncate(0)
            self._write(heading)
        end = self._file.seek(len(heading))
        while (found := self._next()) is not None:
            self._places[found[0]["key"]] = end
            end = self._file.tell()
        self._file.truncate(end)
        return end

    def _next(self) -> Found | None:
        """Read a record; None at the end, and where it is cut short or damaged."""
        frame = self._file.read(_FRAME.size)
        if len(frame) < _FRAME.size:
            return None
        size, checksum = _FRAME.unpack(frame)
        # A damaged length is not to ask for more memory than there are bytes.
        if size > os.fstat(self._file.fileno()).st_size - self._file.tell():
            return None
        content = self._file.read(size)
        return unpack(content) if zlib.crc32(content) == checksum else None

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
