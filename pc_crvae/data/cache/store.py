"""Prepared splits on disk: written at the first load, mapped into memory at every later one.

An entry is one file, so that it is replaced as a whole however many processes write it at once:
the items as ``.npy`` holds them, perhaps further arrays, then a record in JSON (classes, ids, what
they were made from, where which array lies), then where the record starts, 8 bytes little-endian.
It holds for as long as the data set's description, the format, the reader's version and the source
files (by size and time of change) are those it was made from, and as long as it is as it was
written; otherwise it is made anew.
"""

import hashlib
import json
import math
import os
import stat
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.images import ImageSet
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.utils.files import atomic_path
from pc_crvae.utils.processes import is_main_process

FORMAT = 5
"""Of the entries; those of another one are made anew.

Raise it where what an entry holds of the same files changes for every layout: how arrays lie in the
file, how clouds are turned and scaled, how surfaces are sampled, how a file format is read. Where
it changes for one layout alone, raise the ``VERSION`` of its reader.
"""

_KINDS: dict[str, type[CloudSet] | type[ImageSet]] = {"points": CloudSet, "images": ImageSet}
Blocks = tuple[tuple[int, ...], np.dtype[Any], Iterable[NDArray[Any]]]
"""Shape and type of an array, and the array itself, cut anywhere along its first axis."""

_Items = TypeVar("_Items", bound=ItemSet)

_FOOTER_BYTES = 8
_ALIGNMENT = 64
_COARSEST_TIMES = 2 * 10**9
"""What file systems round a time of change to, at worst, in nanoseconds."""


def cache_folder() -> Path:
    """Return where entries lie.

    ``$PC_CRVAE_CACHE`` if set, else ``$XDG_CACHE_HOME/pc_crvae``, else ``~/.cache/pc_crvae``.

    Raises:
        RuntimeError: none of them is set and the user has no home folder.
    """
    named = os.environ.get("PC_CRVAE_CACHE")
    if named:
        return Path(named).expanduser()
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # A relative one is to be ignored, says the XDG Base Directory Specification.
    return (caches if caches.is_absolute() else Path("~/.cache").expanduser()) / "pc_crvae"


@dataclass(frozen=True, eq=False)
class Entry:
    """What a file of the store holds.

    Attributes:
        arrays: by name, mapped from the file and read-only.
        content: the plain values written with them.
    """

    arrays: dict[str, NDArray[Any]]
    content: dict[str, Any]


def entry_path(name: str, split: str, description: dict[str, Any]) -> Path:
    """Return where the entry of a split lies that is described by plain values.

    Raises:
        RuntimeError: as :func:`cache_folder`.
    """
    place = hashlib.sha256(json.dumps([name, split, description]).encode()).hexdigest()
    return cache_folder() / f"{name}-{split}-{place[:16]}.npy"


def load_prepared(
    name: str,
    split: str,
    description: dict[str, Any],
    *,
    sources: Callable[[], Iterable[Path]],
    prepare: Callable[[], _Items],
) -> _Items:
    """Return a split from its entry, its items mapped; prepare it and write the entry if need be.

    Where the entry cannot be written, a warning says so and the split stays in memory.

    Args:
        name: of the data set.
        split: of the data set.
        description: plain values that the result depends on; a place of its own for each.
        sources: the paths, whether there or not, that ``prepare`` looks at.
        prepare: makes the split from its sources.

    Raises:
        UserError: from ``prepare``.
    """
    try:
        entry = entry_path(name, split, description)
    except RuntimeError as error:
        _tell_not_kept(str(error))
        return prepare()
    kept = _open(entry, name, split)
    if kept is not None:
        return cast(_Items, kept)
    # Stamped before they are read: what changes meanwhile differs from its stamp at the next load.
    stamps = {str(path): stamp(path) for path in sources()}
    items = prepare()
    try:
        _write(entry, items, stamps)
    except UserError as error:
        reason = error.__cause__.strerror if isinstance(error.__cause__, OSError) else None
        _tell_not_kept(f"{entry.parent} cannot be written: {reason or error}")
    kept = _open(entry, name, split)
    return items if kept is None else cast(_Items, kept)


def _open(path: Path, name: str, split: str) -> ItemSet | None:
    """Return what ``path`` holds; None where it is missing, damaged or of other sources."""
    entry = read_entry(path)
    try:
        if entry is None:
            return None
        sources = entry.content["sources"]
        if any(stamp(Path(path)) != stamped for path, stamped in sources.items()):
            return None
        return as_item_set(entry, name, split)
    except (ValueError, KeyError, TypeError):
        return None


def _write(path: Path, items: ItemSet, stamps: dict[str, list[int] | None]) -> None:
    arrays = {items.holds: whole(np.asarray(items.array))}
    if items.labels is not None:
        arrays["labels"] = whole(items.labels)
    content = {"sources": stamps, "classes": list(items.classes), "ids": list(items.ids)}
    write_entry(path, arrays, content)


def as_item_set(entry: Entry, name: str, split: str) -> CloudSet | ImageSet:
    """Return the set that an entry holds, whose content names ``classes`` and ``ids``.

    Raises:
        ValueError, KeyError, TypeError: it holds none.
    """
    holds = next(iter(entry.arrays))
    kind = _KINDS[holds]
    companions = {name: entry.arrays[name] for name in kind.companions if name in entry.arrays}
    return kind(
        **{holds: entry.arrays[holds]},
        **companions,
        name=name,
        split=split,
        labels=entry.arrays.get("labels"),
        classes=tuple(entry.content["classes"]),
        ids=tuple(entry.content["ids"]),
    )


def read_entry(path: Path) -> Entry | None:
    """Return the entry at ``path``; None where it is missing, damaged or of another format."""
    try:
        with path.open("rb") as file:
            raw = np.asarray(np.memmap(file, np.uint8, "r"))
            changed_at = os.fstat(file.fileno()).st_mtime_ns
        record_at = int.from_bytes(raw[-_FOOTER_BYTES:].tobytes(), "little")
        record = json.loads(raw[record_at:-_FOOTER_BYTES].tobytes())
        content = record["content"]
        if record["sha256"] != _digest(content) or content["format"] != FORMAT:
            return None
        if content["written_at"] != changed_at:
            return None
        arrays, end = {}, 0
        for name, (dtype, shape, start) in content["arrays"].items():
            end = start + np.dtype(dtype).itemsize * math.prod(shape)
            arrays[name] = raw[start:end].view(dtype).reshape(shape)
        return Entry(arrays, content) if end == record_at else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_entry(
    path: Path,
    arrays: Mapping[str, Blocks],
    content: Mapping[str, Any],
    written_at: int | None = None,
) -> None:
    """Write an entry in place of the one at ``path``.

    Args:
        path: of the file.
        arrays: by name; ``numpy.load`` finds the first.
        content: plain values.
        written_at: the file's time of change, in nanoseconds, where it is to be another than now,
            for example so that what is made twice of the same is the same.

    Raises:
        UserError: it cannot be written.
    """
    # Noted within, so that a later change shows.
    written_at = (time.time_ns() if written_at is None else written_at) // _COARSEST_TIMES
    written_at *= _COARSEST_TIMES
    places: dict[str, tuple[str, tuple[int, ...], int]] = {}
    with atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            for name, (shape, dtype, blocks) in arrays.items():
                stored = dtype.newbyteorder("<")
                if not places:
                    header = {"descr": stored.str, "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(file, header)
                file.write(bytes(-file.tell() % _ALIGNMENT))
                places[name] = (stored.str, shape, file.tell())
                for block in blocks:
                    file.write(np.ascontiguousarray(block, dtype=stored).data)
            record_at = file.tell()
            record = {"format": FORMAT, "written_at": written_at, "arrays": places, **content}
            file.write(json.dumps({"sha256": _digest(record), "content": record}).encode())
            file.write(record_at.to_bytes(_FOOTER_BYTES, "little"))
            file.flush()
            # Renamed before its blocks are on the disk, it could be whole in size and empty in
            # places after a crash.
            os.fsync(file.fileno())
        os.utime(temporary, ns=(written_at, written_at))


def whole(array: NDArray[Any]) -> Blocks:
    """Return an array as :func:`write_entry` takes it."""
    return array.shape, array.dtype, [array]


def stamp(path: Path) -> list[int] | None:
    """Size in bytes and time of the last change in nanoseconds; None where there is nothing.

    A folder, whose size says nothing, has 0 for it; its time changes with what lies in it.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    if stat.S_ISDIR(status.st_mode):
        return [0, status.st_mtime_ns]
    return [status.st_size, status.st_mtime_ns] if stat.S_ISREG(status.st_mode) else None


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _tell_not_kept(reason: str) -> None:
    if is_main_process():
        warnings.warn(
            f"prepared data is not kept, so each start prepares it anew ({reason}): "
            "name a folder that can be written with $PC_CRVAE_CACHE",
            stacklevel=1,
        )
