"""Files written whole or not at all, and read within a bound.

What is written is on the disk before it takes its name, so that a power cut leaves what was there
before or the whole of what is new, and never a file of the right name that is empty in places.
"""

import csv
import errno
import hashlib
import io
import json
import math
import os
import shutil
import tokenize
import uuid
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.errors import UserError, told
from pc_crvae.utils.zip_members import open_zip, read_member

_NPY = ".npy"
_MOST_UNPACKED = 1 << 30


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` that takes its place once the block succeeds.

    The temporary name keeps the suffix, for writers that choose the format by it. When the
    block raises, the temporary file is removed and ``path`` is left as it was.

    Args:
        path: The file to write; missing parent folders are made.

    Raises:
        UserError: A folder or file could not be written (full disk, no permission, a folder
            in the way).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.stem}-{_token()}{path.suffix}")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8; raises as `atomic_path`."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, values: Any) -> None:
    """Write plain values as JSON; raises as `atomic_path`."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV, with a line of names; raises as `atomic_path`."""
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


@contextmanager
def atomic_folder(path: Path, *, synced: bool = True) -> Iterator[Path]:
    """Yield a new temporary folder beside ``path`` that takes its place on success.

    Args:
        path: The folder to write; one that is already there is replaced as a whole.
        synced: Whether its files are on the disk before; of many thousands that takes minutes.

    Raises:
        UserError: As `atomic_path`.
    """
    temporary = path.with_name(f".{path.name}-{_token()}")
    with _writing(path):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            if synced:
                for inner in temporary.rglob("*"):
                    sync(inner)
                sync(temporary)
            replaced = path.with_name(f".{path.name}-{_token()}") if path.exists() else None
            if replaced is not None:
                path.replace(replaced)
            temporary.replace(path)
            if synced:
                sync(path.parent)
            if replaced is not None:
                shutil.rmtree(replaced)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def temporaries(folder: Path, name: str) -> list[Path]:
    """What a kill left in ``folder`` of files and folders that were to be called ``name``.

    Args:
        folder: Where they were to be written; it may be missing.
        name: A name, or a pattern of names such as ``epoch-*.png``.
    """
    stem, suffix = Path(name).stem, Path(name).suffix
    token = "[0-9a-f]" * 8
    found = {*folder.glob(f".{stem}-{token}{suffix}"), *folder.glob(f".{name}-{token}")}
    return sorted(found)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, written to the disk; where a disk can do so.

    Raises:
        OSError: The disk reports that it could not.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # folders, on Windows
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # File systems that have no such thing say so by one of these.
        if error.errno not in (errno.EINVAL, errno.EROFS, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def require_writable(*paths: Path | None) -> None:
    """Refuse, before any work, a file that `atomic_path` could not write after it.

    Nothing is made. If the disk fills up meanwhile, the error comes then. None is no file.

    Raises:
        UserError: a folder is in the way, a file in place of a folder, or no permission.
    """
    for path in filter(None, paths):
        with _writing(path):
            if path.is_dir():
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            folder = next(parent for parent in path.absolute().parents if parent.exists())
            if not folder.is_dir():
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not os.access(folder, os.W_OK | os.X_OK):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def gone(path: Path) -> str:
    """Say, as the start of a sentence, that nothing is at ``path``; of a link, where it leads."""
    if path.is_symlink():
        return f"{path} is a link to {path.readlink()}, which is missing"
    return f"{path} is missing"


def read_bytes(path: Path, most: int) -> bytes:
    """Read a file whole, if it has no more than ``most`` bytes.

    Raises:
        UserError: it is missing, larger or no regular file, or cannot be read.
    """
    with told(f"{path} cannot be read", OSError):
        _require_file(path)
        size = path.stat().st_size
        if size > most:
            raise UserError(f"{path} has {size} bytes, more than the {most} that are read of it")
        return path.read_bytes()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex; raises an OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def npz_names(path: Path) -> list[str]:
    """Return the names of the arrays of an ``.npz`` file.

    Raises:
        UserError: it is missing, damaged or of another kind.
    """
    _require_file(path)
    with open_zip(path, ".npz file") as archive:
        return [name.removesuffix(_NPY) for name in archive.namelist()]


def read_npz(
    path: Path, names: Sequence[str], *, most: int | None = None
) -> dict[str, NDArray[Any]]:
    """Read arrays of an ``.npz`` file; nothing in it is unpickled.

    Args:
        path: the file.
        names: the arrays to read.
        most: bytes that these may take, unpacked; by default a GiB or 20 times the file's,
            whichever is more.

    Raises:
        UserError: it is missing, damaged or of another kind, lacks an array, has one of Python
            objects, or unpacks to more than ``most``.
    """
    _require_file(path)
    most = max(_MOST_UNPACKED, 20 * path.stat().st_size) if most is None else most
    with open_zip(path, ".npz file") as archive:
        members = {info.filename.removesuffix(_NPY): info for info in archive.infolist()}
        missing = [name for name in names if name not in members]
        if missing:
            raise UserError(
                f"{path} holds no array {' and no '.join(missing)}, only "
                f"{', '.join(members) or 'nothing'}"
            )
        size = sum(members[name].file_size for name in names)
        if size > most:
            raise UserError(f"{path} unpacks to {size} bytes, more than the {most} allowed")
        return {
            name: parse_npy(f"{path} ({name})", read_member(archive, members[name], most))
            for name in names
        }


def parse_npy(where: str, content: bytes) -> NDArray[Any]:
    """Return the array of an ``.npy`` file as a view of its content; nothing is unpickled.

    Args:
        where: the file, for the sentence of an error.
        content: what the file holds.

    Raises:
        UserError: it is damaged or of another kind, or holds Python objects.
    """
    shape, fortran_order, dtype, start = _npy_header(where, content)
    if dtype.hasobject:
        raise UserError(
            f"{where} holds an array of Python objects, which is not loaded: it should hold "
            "numbers, or texts of a fixed width"
        )
    count = math.prod(shape)
    if min(shape, default=0) < 0 or dtype.itemsize == 0 or dtype.subdtype:
        raise UserError(f"{where} is damaged: no array has the shape {shape} of {dtype}")
    if count * dtype.itemsize > len(content) - start:
        raise UserError(
            f"{where} is cut short or damaged: an array of the shape {shape} takes "
            f"{count * dtype.itemsize} bytes and {len(content) - start} are there"
        )
    flat = np.frombuffer(content, dtype, count, start)
    return flat.reshape(shape, order="F" if fortran_order else "C")


def _npy_header(where: str, content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether columns come first, type, and where the numbers start."""
    stream = io.BytesIO(content)
    # The header is a Python literal, and so are the ways in which it can be wrong.
    of_literals = ValueError, TypeError, SyntaxError, tokenize.TokenError
    damage = *of_literals, RecursionError, MemoryError
    with told(f"{where} is not an .npy file or is damaged", *damage), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that Python 2 wrote, which are fine
        match np.lib.format.read_magic(stream):
            case (1, 0):
                found = np.lib.format.read_array_header_1_0(stream)
            case (2, 0):
                found = np.lib.format.read_array_header_2_0(stream)
            case _:
                raise UserError(f"{where} has an unknown version of .npy, or is damaged")
        shape, fortran_order, dtype = found
    return shape, fortran_order, dtype, stream.tell()


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path} is not a file" if path.exists() else gone(path))


def _token() -> str:
    """Eight hexadecimal digits, which tell temporary names apart."""
    return uuid.uuid4().hex[:8]


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"could not write {path}: {reason}; free some space or choose another place"
        ) from error
