"""What lies in a folder of one's own, found alike by whoever reads it."""

import os
from collections import defaultdict, deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pc_crvae.data.cache.store import cache_folder
from pc_crvae.data.readers.name_lists import is_name
from pc_crvae.errors import UserError, told

TEXT_SUFFIXES = (".txt", ".csv")
"""Of tables and notes as well as of clouds."""

_SYSTEM_FOLDERS = {
    "__macosx",
    "__pycache__",
    "lost+found",
    "node_modules",
    "$recycle.bin",
    "system volume information",
}
_NOTES = {
    "readme",
    "license",
    "licence",
    "copying",
    "changelog",
    "citation",
    "authors",
    "notes",
    "requirements",
}


@dataclass(frozen=True)
class FoundFile:
    """A file and its path below the folder that was walked."""

    path: Path
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Walk:
    """What a folder holds.

    Attributes:
        folders: those that were looked into, the folder itself first.
        files: the wanted ones, sorted by their paths.
        passed_over: the others, by the reason.
    """

    folders: list[Path]
    files: list[FoundFile]
    passed_over: dict[str, tuple[Path, ...]]


def walk(root: Path, suffixes: Collection[str]) -> Walk:
    """Find the files of some suffixes, at any depth.

    What is hidden (a dot in front) is not looked at. Links are followed, and each folder and file
    is met once, however many links lead there; a file goes by its own name rather than by that of
    a link. Prepared sets and folders of the system are passed over.

    Args:
        root: the folder.
        suffixes: those of the files wanted, such as ``.off``; case does not matter.

    Raises:
        UserError: a folder cannot be read, or a name is not plain text.
    """
    wanted = {suffix.lower() for suffix in suffixes}
    folders: list[Path] = []
    files: list[FoundFile] = []
    ignored: defaultdict[str, list[Path]] = defaultdict(list)
    # A folder is entered once, and none above the root at all, so that links which go round come
    # to an end.
    entered = {_identity(folder) for folder in (root, *root.resolve().parents)}
    caches: set[tuple[int, int]] = set()
    with suppress(UserError):  # there is none
        caches.add(_identity(cache_folder()))
    behind_links = False
    waiting: deque[tuple[Path, tuple[str, ...]]] = deque([(root, ())])
    while waiting:
        folder, parts = waiting.popleft()
        folders.append(folder)
        for entry in _entries(folder):
            path, below = folder / entry.name, (*parts, entry.name)
            behind_links |= entry.is_symlink()
            if path.is_dir() if entry.is_symlink() else entry.is_dir():
                identity = _identity(path)
                if identity in caches or entry.name.lower() in _SYSTEM_FOLDERS:
                    ignored["a folder of the system, or of what is prepared"].append(path)
                elif identity in entered:
                    ignored["a folder met before"].append(path)
                else:
                    entered.add(identity)
                    waiting.append((path, below))
            elif path.suffix.lower() not in wanted:
                ignored["of another kind"].append(path)
            elif path.suffix.lower() in TEXT_SUFFIXES and path.stem.lower() in _NOTES:
                ignored["a note"].append(path)
            # A link to nowhere is listed, so that whoever opens it says so.
            elif entry.is_file(follow_symlinks=False) or path.is_file() or not path.exists():
                check_name(path)
                files.append(FoundFile(path, below))
            else:
                ignored["not a regular file"].append(path)
    if behind_links:
        files, again = _met_once(files)
        if again:
            ignored["a file met before"] = again
    files.sort(key=lambda file: file.parts)
    return Walk(folders, files, {reason: tuple(sorted(paths)) for reason, paths in ignored.items()})


def _met_once(files: list[FoundFile]) -> tuple[list[FoundFile], list[Path]]:
    first: dict[str, FoundFile] = {}
    again = []
    for file in sorted(files, key=lambda file: (file.path.is_symlink(), file.parts)):
        target = os.path.realpath(file.path)
        if target in first:
            again.append(file.path)
        else:
            first[target] = file
    return list(first.values()), again


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is not hidden, links last: a folder goes before a link to it."""
    with told(f"the folder {folder} cannot be read", OSError), os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(shown, key=lambda entry: (entry.is_symlink(), entry.name))


def _identity(folder: Path) -> tuple[int, int]:
    with told(f"the folder {folder} cannot be read", OSError):
        status = folder.stat()
    return status.st_dev, status.st_ino


def check_name(path: Path) -> None:
    """Refuse a path that cannot be a name of an item.

    Raises:
        UserError: it is such.
    """
    if not all(is_name(part) for part in path.parts):
        raise UserError(f"{str(path)!r} has a name that is not plain text in UTF-8: rename it")
