"""Files of an entry, each with its SHA-256: arrays as plain ``.npy``, and the record beside them.

Whoever makes the entry's folder sees to it that they are on the disk.

The record names the type, shape, size and SHA-256 of each array's file. Its first line is the
SHA-256 of the rest of it.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.utils.files import sha256_of

ALWAYS_VERIFIED = 2**23
"""Bytes of the largest array whose digest every opening verifies, which takes some 10 ms."""

_SEALED_AT = 946_684_800 * 10**9
"""The time of change that every array's file is given, the start of the year 2000: another one says
that the file was written since."""

Blocks = tuple[tuple[int, ...], np.dtype[Any], Iterable[NDArray[Any]]]
"""Shape and type of an array, and the array itself, cut anywhere along its first axis."""


def read_record(path: Path) -> dict[str, Any]:
    """Return the plain values of a record.

    Raises:
        ValueError, KeyError: it is not what was written.
        OSError: it cannot be read.
    """
    raw = path.read_bytes()
    head, _, rest = raw.partition(b"\n")
    if head != _record_head(rest):
        raise ValueError(f"{path.name} is not as it was written")
    content: dict[str, Any] = json.loads(raw)["content"]
    return content


def _record_head(rest: bytes) -> bytes:
    """The first line of a record, whose digest is that of the ``rest``."""
    return b'{"sha256": "%b",' % hashlib.sha256(rest).hexdigest().encode()


def write_record(path: Path, content: Mapping[str, Any]) -> None:
    """Write a record of plain values.

    Raises:
        OSError: it cannot be written.
    """
    rest = b'"content": %b}\n' % json.dumps(content).encode()
    _write_whole(path, [_record_head(rest), b"\n", rest])


def open_array(path: Path, about: Mapping[str, Any], verify: bool) -> NDArray[Any]:
    """Map an array from its file, read-only.

    Args:
        path: the ``.npy`` file.
        about: what the record says of it.
        verify: whether to verify the digest, however large the file.

    Raises:
        ValueError, KeyError, TypeError: the file is not what was written.
        OSError: it cannot be read.
    """
    status = path.stat()
    if status.st_size != about["bytes"]:
        raise ValueError(f"{path.name} has {status.st_size} bytes, not {about['bytes']}")
    verify |= status.st_size <= ALWAYS_VERIFIED or status.st_mtime_ns != _SEALED_AT
    if verify and sha256_of(path) != about["sha256"]:
        raise ValueError(f"{path.name} is not as it was written")
    # As numpy.load with allow_pickle=False, for .npy alone: arrays of objects are refused.
    array = np.asarray(np.lib.format.open_memmap(path, mode="r"))
    if [array.dtype.str, list(array.shape)] != [about["dtype"], about["shape"]]:
        raise ValueError(f"{path.name} holds another array")
    return array


def write_array(path: Path, array: Blocks) -> dict[str, Any]:
    """Write a ``.npy`` file and return what the record says of it.

    Raises:
        OSError: it cannot be written.
    """
    shape, dtype, blocks = array
    stored = dtype.newbyteorder("<")
    header = BytesIO()
    about = {"descr": stored.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, about)
    parts = (np.ascontiguousarray(block, dtype=stored).data for block in blocks)
    size, digest = _write_whole(path, chain([header.getvalue()], parts))
    os.utime(path, ns=(_SEALED_AT, _SEALED_AT))
    return {"dtype": stored.str, "shape": shape, "bytes": size, "sha256": digest}


def _write_whole(path: Path, parts: Iterable[bytes | memoryview]) -> tuple[int, str]:
    """Write a file and return its bytes and SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for part in parts:
            digest.update(part)
            file.write(part)
        return file.tell(), digest.hexdigest()
