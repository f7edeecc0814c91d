"""Clouds in NumPy's own formats: ``.npy`` holds one array, ``.npz`` is a zip of such files.

Every size is checked against the bytes that are there before memory is taken, and nothing is
unpickled.
"""

import io
import math
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.text import reason
from pc_crvae.errors import UserError

_KEYS = ("points", "pos", "data")
_LARGEST_MEMBER = 1 << 30
"""Bytes that a member of an ``.npz`` may unpack to: 44 million points in double precision."""


def parse_npy(path: Path, content: bytes, member: str = "") -> NDArray[Any]:
    """Parse the array of an ``.npy`` file: (N, 3 or more), any real type.

    Args:
        path: of the file, for the sentence of an error.
        content: of the file, or of the member of an archive.
        member: its name there, if it is one.

    Raises:
        UserError: it is damaged, or no such array.
    """
    where = f"{path} ({member})" if member else str(path)
    shape, fortran_order, dtype, start = _npy_header(where, content)
    if dtype.kind not in "fiu" or dtype.itemsize == 0:
        raise UserError(f"{where} should hold numbers, not {reason(TypeError(dtype))}")
    if len(shape) != 2 or shape[1] < 3:
        raise UserError(f"{where} should have the shape (N, 3), not {shape}")
    if shape[0] <= 0:
        raise UserError(f"{where} holds no points")
    count = math.prod(shape)
    if count * dtype.itemsize > len(content) - start:
        raise UserError(
            f"{where} is cut short: an array of the shape {shape} takes "
            f"{count * dtype.itemsize} bytes and {len(content) - start} are there"
        )
    flat = np.frombuffer(content, dtype, count, start)
    return flat.reshape(shape, order="F" if fortran_order else "C")


def parse_npz(path: Path, content: bytes) -> NDArray[Any]:
    """Parse the cloud of an ``.npz`` file: (N, 3 or more), any real type.

    It is the array called ``points``, ``pos`` or ``data``, the first of them that is there, or
    else the only array.

    Raises:
        UserError: it is damaged, or holds no such array.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            member = _member(path, archive)
            array = archive.read(member)
    except UserError:
        raise
    # What the zip module raises depends on the part that is damaged.
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,
        NotImplementedError,
        ValueError,
    ) as error:
        raise UserError(f"{path} is not an .npz file or is damaged: {reason(error)}") from error
    return parse_npy(path, array, member.filename)


def _npy_header(where: str, content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether columns come first, type, and where the numbers start."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote, which are fine
            shape, fortran_order, dtype = read_header(stream)
    except KeyError as error:
        raise UserError(f"{where} is of an unknown version of .npy or damaged") from error
    # The header is a Python literal, and so are the ways in which it can be wrong.
    except (
        ValueError,
        TypeError,
        SyntaxError,
        tokenize.TokenError,
        RecursionError,
        MemoryError,
    ) as error:
        raise UserError(f"{where} is not an .npy file or is damaged: {reason(error)}") from error
    return shape, fortran_order, dtype, stream.tell()


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = {Path(info.filename).stem: info for info in archive.infolist()}
    names = [key for key in _KEYS if key in members]
    if not names and len(members) == 1:
        names = list(members)
    if not names:
        raise UserError(
            f"{path} holds the arrays {', '.join(sorted(members)[:10])}, of which none is called "
            f"{', '.join(_KEYS)}: name the cloud so"
            if members
            else f"{path} holds no array"
        )
    member = members[names[0]]
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UserError(f"{path} is packed in a way that .npz files are not: write it anew")
    if member.file_size > _LARGEST_MEMBER:
        raise UserError(
            f"{path} unpacks to {member.file_size} bytes, more than the {_LARGEST_MEMBER} allowed: "
            "save the cloud as .npy"
        )
    return member
