"""Clearing the cache of what nothing will load again."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pc_crvae.data.cache.store import (
    COLLECTIONS,
    FORMAT,
    DamagedEntryError,
    NotKeptError,
    cache_folder,
    discard,
    newest_first,
    open_entry,
)
from pc_crvae.data.cache.unasked import (
    MOST_DAYS,
    drop_unasked,
    is_unused,
    places_of,
    size_of_unasked,
)

_PLACE = r"(?P<place>[\w.-]+-(?:train|validation|test)-[0-9a-f]{16})"
_OURS = re.compile(
    _PLACE + r"(?P<kind>-[0-9a-f]{16}|\.lock|(?:\.\d+\.\d+)?\.partial(?:-journal)?|\.npy"
    r"|\.report\.json)",
    re.ASCII,
)
"""Entries, locks and journals; and what version 0.1 made, whose entries were files."""

_OF_COLLECTION = re.compile(r"(?P<place>[0-9a-f]{16})\.(?:sqlite|sqlite-journal|lock)", re.ASCII)

_SUFFIXES = (".lock", ".partial", ".npy", ".json", ".sqlite")
"""Of what is a file; all else is a folder."""

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
        name: what it is called.
        is_part: whether only rows of the file are meant, that no run asks for.
    """

    path: Path
    reason: str
    size: int
    name: str
    is_part: bool = False


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
    interrupted preparations left that cannot be gone on with. Of what ``explore``, ``search`` and
    ``probe`` keep, what no run has asked for in `MOST_DAYS`, as of files that are gone. Files and
    folders whose names are not the cache's stay, and so do entries that cannot be read. A set that
    a process has mapped stays whole for that process.

    Args:
        everything: whether to remove every entry.
        dry_run: whether to remove nothing and only say what there is.

    Raises:
        UserError: there is no cache folder, as the user has no home folder.
        OSError: something cannot be removed.
    """
    pruned = Pruned([], [])
    cache = cache_folder()
    places = _by_place(cache, _OURS, _TEMPORARY)
    places |= _by_place(cache / COLLECTIONS, _OF_COLLECTION)
    for place, paths in sorted(places.items()):
        lock = place.with_name(f"{place.name}.lock")
        others = [path for path in paths if path != lock]
        try:
            with FileLock(lock, timeout=0):
                found = _leftovers(others, everything)
                for leftover in found if not dry_run else ():
                    _remove(leftover)
                whole = [leftover for leftover in found if not leftover.is_part]
                is_empty = not dry_run and len(whole) == len(others)
                if is_empty or lock not in paths:  # while it is held, so that who waits sees it go
                    lock.unlink(missing_ok=True)
        except Timeout:
            pruned.busy.append(_name_of(place))
            continue
        pruned.removed.extend(found)
    return pruned


def _by_place(folder: Path, *names: re.Pattern[str]) -> dict[Path, list[Path]]:
    """Return what is the cache's, by what it was made for."""
    places: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in folder.iterdir() if folder.is_dir() else ():
        found = next(filter(None, (name.fullmatch(path.name) for name in names)), None)
        is_file = path.suffix.removesuffix("-journal") in _SUFFIXES
        if found is not None and not path.is_symlink() and path.is_file() == is_file:
            places[folder / found["place"]].append(path)
    return places


def _leftovers(paths: Sequence[Path], everything: bool) -> list[Leftover]:
    """Return what of a place is to go."""
    if paths and paths[0].parent.name == COLLECTIONS:
        return _unasked(paths, everything)
    kinds = {path: found["kind"] for path in paths if (found := _OURS.fullmatch(path.name))}
    reasons: dict[Path, str | None] = {}
    for path in newest_first(path for path in kinds if path.is_dir()):
        is_newest = None not in reasons.values()
        reasons[path] = _fault(path) or (None if is_newest else "superseded by a later state")
    for path in paths:
        if path not in kinds:
            reasons[path] = "left by an interrupted preparation"
        elif kinds[path] in (".npy", ".report.json"):
            reasons[path] = "of version 0.1"
        elif path.suffix.startswith(".partial"):
            is_ours = kinds[path].startswith(f".{FORMAT}.")
            reasons[path] = None if is_ours else "of another format"
    gone = [(path, why or "up to date") for path, why in reasons.items() if everything or why]
    return [Leftover(path, why, _size(path), path.name) for path, why in gone]


def _unasked(paths: Sequence[Path], everything: bool) -> list[Leftover]:
    """Return what of the rows of a collection is to go."""
    found = []
    for path in paths:
        name = _name_of(path)
        if everything or is_unused(path):
            reason = "up to date" if everything else f"not asked for in {MOST_DAYS} days"
            found.append(Leftover(path, reason, _size(path), name))
        elif size := size_of_unasked(path):
            reason = (
                f"what runs of {MOST_DAYS} days did not ask for, such as of files that are gone"
            )
            found.append(Leftover(path, reason, size, name, is_part=True))
    return found


def _remove(leftover: Leftover) -> None:
    if leftover.is_part:
        drop_unasked(leftover.path)
    else:
        discard(leftover.path)


def _name_of(path: Path) -> str:
    """What is called by the place of files and folders that it is of, or else by its own name."""
    if path.parent.name != COLLECTIONS:
        return path.name
    places = places_of(path.with_suffix(".sqlite"))
    own = f"{COLLECTIONS}/{path.name}"
    return own if places is None else f"what is kept of {places}"


def _fault(folder: Path) -> str | None:
    try:
        return None if open_entry(folder) is not None else "of another format"
    except DamagedEntryError:
        return "damaged"
    except NotKeptError:  # unreadable, which says nothing of what it holds
        return None


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
