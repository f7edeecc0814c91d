"""Clearing the cache of what nothing will load again."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pc_crvae.data.cache.store import (
    FORMAT,
    DamagedEntryError,
    cache_folder,
    discard,
    newest_first,
    open_entry,
)

_PLACE = r"(?P<place>[\w.-]+-(?:train|test)-[0-9a-f]{16})"
_OURS = re.compile(
    _PLACE + r"(?P<kind>-[0-9a-f]{16}|\.lock|\.partial|\.npy|\.report\.json)", re.ASCII
)
"""Entries, locks and journals; and what version 0.1 made, whose entries were files."""

_TEMPORARY = re.compile(
    rf"\.{_PLACE}(?:-[0-9a-f]{{16}}-[0-9a-f]{{8}}|(?:\.report)?-[0-9a-f]{{8}}\.(?:npy|json))",
    re.ASCII,
)


@dataclass(frozen=True)
class Leftover:
    """Something in the cache that nothing will load again.

    Attributes:
        path: a file or folder.
        reason: why nothing will load it.
        size: its bytes.
    """

    path: Path
    reason: str
    size: int


@dataclass(frozen=True)
class Pruned:
    """What :func:`prune` found.

    Attributes:
        removed: what it removed, or would.
        busy: names of what another process prepares meanwhile, where it removes nothing.
    """

    removed: list[Leftover]
    busy: list[str]


def prune(*, everything: bool = False, dry_run: bool = False) -> Pruned:
    """Remove what nothing in the cache folder will load again.

    That is: of entries that differ by the state of their sources or the version of their reader,
    all but the one made last; entries that are damaged, of another format or of version 0.1; what
    interrupted preparations left that cannot be gone on with. Files and folders whose names are not
    the cache's stay. A set that a process has mapped stays whole for that process.

    Args:
        everything: whether to remove every entry.
        dry_run: whether to remove nothing and only say what there is.

    Raises:
        UserError: there is no cache folder, as the user has no home folder.
        OSError: something cannot be removed.
    """
    pruned = Pruned([], [])
    for place, paths in sorted(_by_place(cache_folder()).items()):
        lock = place.with_name(f"{place.name}.lock")
        with _is_free(lock) as free:
            if not free:
                pruned.busy.append(place.name)
                continue
            others = [path for path in paths if path != lock]
            found = [
                Leftover(path, reason, _size(path))
                for path, reason in _leftovers(others, everything)
            ]
            for leftover in found if not dry_run else ():
                discard(leftover.path)
        if lock in paths and len(found) == len(others):
            found.append(Leftover(lock, "the lock of what is gone", 0))
            if not dry_run:
                discard(lock)
        pruned.removed.extend(found)
    return pruned


def _by_place(folder: Path) -> dict[Path, list[Path]]:
    """Return what is the cache's, by what it was made for."""
    places: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in folder.iterdir() if folder.is_dir() else ():
        found = _OURS.fullmatch(path.name) or _TEMPORARY.fullmatch(path.name)
        is_file = path.name.endswith((".lock", ".partial", ".npy", ".json"))
        if found is not None and not path.is_symlink() and path.is_file() == is_file:
            places[folder / found["place"]].append(path)
    return places


@contextmanager
def _is_free(path: Path) -> Iterator[bool]:
    """Keep others from preparing meanwhile; False where another process prepares already."""
    if not path.exists():
        yield True
        return
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _leftovers(paths: Sequence[Path], everything: bool) -> Iterator[tuple[Path, str]]:
    """Yield what of a place is to go, and why."""
    kinds = {path: found["kind"] for path in paths if (found := _OURS.fullmatch(path.name))}
    is_newest = True
    for path in newest_first(path for path in kinds if path.is_dir()):
        reason = _fault(path) or (None if is_newest else "superseded by a later state")
        is_newest = is_newest and reason is not None
        if everything or reason is not None:
            yield path, reason or "an entry"
    for path in paths:
        if path not in kinds:
            yield path, "left by an interrupted preparation"
        elif kinds[path] in (".npy", ".report.json"):
            yield path, "of version 0.1"
        elif kinds[path] == ".partial":
            with path.open("rb") as file:
                is_of_this_format = file.readline().startswith(b"[%d, " % FORMAT)
            if everything or not is_of_this_format:
                yield path, "an unfinished preparation" if everything else "of another format"


def _fault(folder: Path) -> str | None:
    try:
        return None if open_entry(folder) is not None else "of another format"
    except DamagedEntryError:
        return "damaged"


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
