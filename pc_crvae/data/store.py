"""Prepared splits on disk: written at the first load, mapped into memory at every later one.

An entry is one file, so that it is replaced as a whole however many processes write it at once:
the items as ``.npy`` holds them, then a record in JSON (labels, classes, ids, and what they were
made from), then where the record starts, 8 bytes little-endian. It holds for as long as the data
set's description, the code that prepares and the source files (by size and time of change) are
those it was made from, and as long as it is as it was written; otherwise it is made anew.
"""

import hashlib
import json
import math
import os
import stat
import time
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.images import ImageSet
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.files import atomic_path
from pc_crvae.processes import is_main_process

_FORMAT = 1
"""Of the entries; another one is made anew."""

_KINDS: dict[str, type[CloudSet] | type[ImageSet]] = {"points": CloudSet, "images": ImageSet}
_Items = TypeVar("_Items", bound=ItemSet)

_FOOTER_BYTES = 8
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
    place = hashlib.sha256(json.dumps([name, split, description]).encode()).hexdigest()
    try:
        entry = cache_folder() / f"{name}-{split}-{place[:16]}.npy"
    except RuntimeError as error:
        _tell_not_kept(str(error))
        return prepare()
    kept = _open(entry, name, split)
    if kept is not None:
        return cast(_Items, kept)
    # Stamped before they are read: what changes meanwhile differs from its stamp at the next load.
    stamps = {str(path): _stamp(path) for path in sources()}
    items = prepare()
    try:
        with atomic_path(entry) as temporary:
            _write(temporary, items, stamps)
    except UserError as error:
        reason = error.__cause__.strerror if isinstance(error.__cause__, OSError) else None
        _tell_not_kept(f"{entry.parent} cannot be written: {reason or error}")
    kept = _open(entry, name, split)
    return items if kept is None else cast(_Items, kept)


def _open(entry: Path, name: str, split: str) -> ItemSet | None:
    """Return what ``entry`` holds; None where it is missing, damaged or of other sources."""
    try:
        with entry.open("rb") as file:
            raw = np.asarray(np.memmap(file, np.uint8, "r"))
            changed_at = os.fstat(file.fileno()).st_mtime_ns
        record_at = int.from_bytes(raw[-_FOOTER_BYTES:].tobytes(), "little")
        record = json.loads(raw[record_at:-_FOOTER_BYTES].tobytes())
        content = record["content"]
        if record["sha256"] != _digest(content) or content["code"] != _code():
            return None
        if content["written_at"] != changed_at:
            return None
        if any(_stamp(Path(path)) != stamp for path, stamp in content["sources"].items()):
            return None
        holds = _KINDS[content["holds"]]
        stored = np.dtype(content["dtype"])
        start = record_at - stored.itemsize * math.prod(content["shape"])
        array = raw[start:record_at].view(stored).reshape(content["shape"])
        labels = content["labels"]
        return holds(
            **{holds.holds: array},
            name=name,
            split=split,
            labels=None if labels is None else np.array(labels, dtype=np.int64),
            classes=tuple(content["classes"]),
            ids=tuple(content["ids"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, items: ItemSet, stamps: dict[str, list[int] | None]) -> None:
    stored = items.array.dtype.newbyteorder("<")
    # Set as the file's time of change and noted within, so that a later change shows.
    written_at = time.time_ns() // _COARSEST_TIMES * _COARSEST_TIMES
    content = {
        "code": _code(),
        "written_at": written_at,
        "sources": stamps,
        "holds": items.holds,
        "dtype": stored.str,
        "shape": items.array.shape,
        "labels": None if items.labels is None else items.labels.tolist(),
        "classes": list(items.classes),
        "ids": list(items.ids),
    }
    record = {"sha256": _digest(content), "content": content}
    with path.open("wb") as file:
        np.save(file, np.asarray(items.array, dtype=stored, order="C"), allow_pickle=False)
        record_at = file.tell()
        file.write(json.dumps(record).encode())
        file.write(record_at.to_bytes(_FOOTER_BYTES, "little"))
        file.flush()
        # Renamed before its blocks are on the disk, it could be whole in size and empty in places
        # after a crash.
        os.fsync(file.fileno())
    os.utime(path, ns=(written_at, written_at))


def _stamp(path: Path) -> list[int] | None:
    """Size in bytes and time of the last change in nanoseconds; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns] if stat.S_ISREG(status.st_mode) else None


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@cache
def _code() -> str:
    """The format, and a SHA-256 over the code that reads, generates and prepares."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in [package.parent / "randomness.py", *sorted(package.rglob("*.py"))]:
        digest.update(path.read_bytes())
    return f"{_FORMAT}-{digest.hexdigest()}"


def _tell_not_kept(reason: str) -> None:
    if is_main_process():
        warnings.warn(
            f"prepared data is not kept, so each start prepares it anew ({reason}): "
            "name a folder that can be written with $PC_CRVAE_CACHE",
            stacklevel=1,
        )
