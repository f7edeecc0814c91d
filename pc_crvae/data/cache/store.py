"""Prepared splits on disk: made at the first load, mapped into memory at every later one.

An entry is a folder whose name is its key. It holds plain ``.npy`` arrays and ``record.json``, in
which the other values stand and, of each array's file, the type, shape, size and SHA-256. The key
covers all that the content depends on: the set, the split, what is wanted of it, :data:`FORMAT`,
the version of the reader, and size and time of change of every source. So nobody ever writes into
an entry: other sources or another version make another entry beside it, and
:mod:`pc_crvae.data.cache.pruning` removes those that nothing loads any more. An entry is made under
a temporary name and renamed when it is whole; one that is there but damaged is told, and replaced.

SHA-256 takes about a second a gigabyte, as long as all the rest of a load. So every opening
verifies the record and arrays of up to ``ALWAYS_VERIFIED`` bytes, and a larger array where the
time of its file says that somebody wrote to it. What trains and what evaluates verifies every
array before (:mod:`pc_crvae.data.cache.damage`). ``pc-crvae data check`` does so too, and a
preparation that takes over what an older entry holds.
"""

import hashlib
import json
import os
import shutil
import stat
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from numpy.typing import NDArray

from pc_crvae.data.cache.sealed_files import (
    Blocks,
    open_array,
    read_record,
    write_array,
    write_record,
)
from pc_crvae.errors import UserError
from pc_crvae.utils.files import atomic_folder
from pc_crvae.utils.processes import is_main_process

FORMAT = 6
"""Of the entries; those of another one are made anew.

Raise it where what an entry holds of the same files changes for every layout: how arrays lie in the
folder, how clouds are turned and scaled, how surfaces are sampled, how a file format is read. Where
it changes for one layout alone, raise the ``VERSION`` of its reader.
"""

COLLECTIONS = "collections"
"""The folder, within that of the cache, of rows: of folders explored or searched, and of probes."""

_NAME_ANOTHER = "name a folder that can be written with $PC_CRVAE_CACHE"
RECORD = "record.json"
REPORT = "report.json"

_Read = TypeVar("_Read")


class NotKeptError(UserError):
    """What is prepared cannot be kept on the disk."""


class DamagedEntryError(UserError):
    """An entry is there and is not what was written."""


@dataclass(frozen=True)
class Key:
    """What the content of an entry depends on.

    Attributes:
        name: the name of the data set.
        split: the split of the data set.
        wanted: plain values that say what is wanted of the split, and of which folder.
        reader: the version of the reader.
        sources: plain values that change when the sources do, such as their :func:`stamp`.
    """

    name: str
    split: str
    wanted: Mapping[str, Any]
    reader: int
    sources: Any

    @property
    def made_by(self) -> list[int]:
        """The format and the version of the reader."""
        return [FORMAT, self.reader]

    @property
    def place(self) -> Path:
        """What the paths of all entries begin with that differ by sources and versions alone.

        Raises:
            NotKeptError: as :func:`cache_folder`.
        """
        wanted = _digest([self.name, self.split, self.wanted])
        return cache_folder() / f"{self.name}-{self.split}-{wanted}"

    @property
    def folder(self) -> Path:
        """The entry; raises as :attr:`place`."""
        return _beside(self.place, f"-{_digest([self.made_by, self.sources])}")

    @property
    def journal(self) -> Path:
        """Where a preparation writes down what it has done; raises as :attr:`place`."""
        return _beside(self.place, f".{FORMAT}.{self.reader}.partial")


@dataclass(frozen=True, eq=False)
class Draft:
    """What is to become an entry.

    Attributes:
        arrays: the arrays by name; the first holds the items.
        content: plain values.
        report: plain values for people, in a file of their own; None: there is none.
    """

    arrays: Mapping[str, Blocks]
    content: Mapping[str, Any]
    report: Mapping[str, Any] | None = None


@dataclass(frozen=True, eq=False)
class Entry:
    """What an entry holds.

    Attributes:
        folder: the folder of the entry.
        arrays: the arrays by name, mapped from their files and read-only.
        content: the plain values written with them, ``made_by`` and ``wanted`` of the key included.
    """

    folder: Path
    arrays: dict[str, NDArray[Any]]
    content: dict[str, Any]


def cache_folder() -> Path:
    """Return where entries lie.

    ``$PC_CRVAE_CACHE`` if set, else ``$XDG_CACHE_HOME/pc_crvae``, else ``~/.cache/pc_crvae``.

    Raises:
        NotKeptError: none of them is set and the user has no home folder.
    """
    named = os.environ.get("PC_CRVAE_CACHE")
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        if named:
            return Path(named).expanduser()
        # A relative one is to be ignored, says the XDG Base Directory Specification.
        return (caches if caches.is_absolute() else Path("~/.cache").expanduser()) / "pc_crvae"
    except RuntimeError as error:
        raise NotKeptError(
            f"there is no place to keep what is prepared ({error}): {_NAME_ANOTHER}"
        ) from error


def obtain(
    key: Key,
    draft: Callable[[], AbstractContextManager[Draft]],
    read: Callable[[Entry], _Read],
    tell: Callable[[str], None] = lambda text: None,
) -> tuple[_Read, bool]:
    """Open an entry, or make it and open it.

    Of several processes that want the same, one makes it and the others wait and take that.

    Args:
        key: the key of the entry.
        draft: prepares what it is to hold, until the context is left.
        read: makes of an entry what is wanted; ValueError, KeyError and TypeError say that it
            cannot, and so that the entry is damaged.
        tell: the function that prints that this process waits for another one.

    Returns:
        What ``read`` gives, and whether the entry was made for it.

    Raises:
        NotKeptError: the entry cannot be written.
        UserError: from ``draft``.
    """
    folder = key.folder
    with suppress(DamagedEntryError):
        if (found := _open(folder, read)) is not None:
            return found, False
    with alone(key.place, tell):
        try:
            if (found := _open(folder, read)) is not None:
                return found, False
        except DamagedEntryError as damage:
            warn(f"{damage}, so it is made anew")
        with draft() as made:
            _write(key, made)
    with suppress(DamagedEntryError):
        if (found := _open(folder, read)) is not None:
            return found, True
    raise NotKeptError(f"{folder} was changed while it was made: {_NAME_ANOTHER}")


def open_entry(folder: Path, *, verify: bool = False) -> Entry | None:
    """Return an entry; None where there is none, or one of another format.

    Args:
        folder: the folder of the entry.
        verify: whether to verify the digests of all arrays, however large.

    Raises:
        DamagedEntryError: it is there and is not what was written.
        NotKeptError: it cannot be read, which says nothing of what it holds.
    """
    try:
        if not folder.exists():
            return None
        content = read_record(folder / RECORD)
        if content["made_by"][0] != FORMAT:
            return None
        arrays = {
            name: open_array(folder / f"{name}.npy", about, verify)
            for name, about in content["arrays"].items()
        }
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise DamagedEntryError(f"{folder} is damaged ({error})") from error
    except OSError as error:
        raise _not_kept(folder, "read", error) from error
    return Entry(folder, arrays, content)


def newest_entry(key: Key) -> Entry | None:
    """Return the newest sound entry of the key's place that the same code made, all of it verified.

    None where there is none.
    """
    for folder in entries(key.place):
        with suppress(DamagedEntryError, NotKeptError):
            entry = open_entry(folder, verify=True)
            if entry is not None and entry.content["made_by"] == key.made_by:
                return entry
    return None


def newest_first(folders: Iterable[Path]) -> list[Path]:
    """Return entries, the one first that was made last."""

    def made_at(folder: Path) -> int:
        try:
            return folder.stat().st_mtime_ns
        except FileNotFoundError:  # removed meanwhile
            return 0

    return sorted(folders, key=made_at, reverse=True)


def discard(path: Path) -> None:
    """Remove an entry, as a whole for whoever looks, or a file; who has mapped it keeps it."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
    elif path.name.startswith("."):
        shutil.rmtree(path)
    else:
        shutil.rmtree(path.rename(path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")))


def whole(array: NDArray[Any]) -> Blocks:
    """Return an array as a :class:`Draft` takes it."""
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


def entries(place: Path) -> list[Path]:
    """Return the entries of a place, the one first that was made last.

    Raises:
        NotKeptError: the cache folder cannot be read.
    """
    try:
        return newest_first(place.parent.glob(f"{place.name}-*"))
    except OSError as error:
        raise _not_kept(place.parent, "read", error) from error


@contextmanager
def alone(place: Path, tell: Callable[[str], None] = lambda text: None) -> Iterator[None]:
    """Hold the lock of a place, which the system takes back from a process that dies.

    Args:
        place: the file or folder that is written to, or the start of its paths.
        tell: the function that prints that this process waits for another one.

    Raises:
        NotKeptError: the folder cannot be written.
    """
    lock = FileLock(_beside(place, ".lock"))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            tell(f"another process prepares {place.name}: waiting for it")
            lock.acquire()
    except (OSError, NotImplementedError) as error:  # the latter where there are no file locks
        raise _not_kept(place.parent, "written", error) from error
    try:
        yield
    finally:
        lock.release()


def _open(folder: Path, read: Callable[[Entry], _Read]) -> _Read | None:
    entry = open_entry(folder)
    try:
        return None if entry is None else read(entry)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedEntryError(f"{folder} is damaged ({error})") from error


def _write(key: Key, draft: Draft) -> None:
    """Make an entry, in place of the damaged one if there is one."""
    try:
        with atomic_folder(key.folder) as folder:
            arrays = {
                name: write_array(folder / f"{name}.npy", blocks)
                for name, blocks in draft.arrays.items()
            }
            if draft.report is not None:
                text = json.dumps(draft.report, indent=2) + "\n"
                (folder / REPORT).write_text(text, encoding="utf-8")
            about = {"made_by": key.made_by, "wanted": dict(key.wanted), "arrays": arrays}
            write_record(folder / RECORD, about | dict(draft.content))
    except UserError as error:
        raise _not_kept(key.place.parent, "written", error.__cause__ or error) from error


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


def _beside(place: Path, ending: str) -> Path:
    # Not by with_suffix, as the name of a set may have dots in it.
    return place.with_name(f"{place.name}{ending}")


def _not_kept(path: Path, what: str, error: BaseException) -> NotKeptError:
    reason = getattr(error, "strerror", None) or error
    return NotKeptError(f"{path} cannot be {what}: {reason}; {_NAME_ANOTHER}")


def warn(text: str) -> None:
    """Warn the user, once of all processes."""
    if is_main_process():
        warnings.warn(text, stacklevel=1)
