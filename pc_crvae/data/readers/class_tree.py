"""Folders of one's own: a file a shape or picture, with or without class and split folders.

These trees are understood, as the folders that hold items of the wanted kind tell:

- ``chair/a.off``: a folder a class, no splits;
- ``chair/train/a.off``: splits below the classes;
- ``train/chair/a.off``: splits above the classes;
- ``train/a.off``: splits without classes;
- ``a.off``: neither.

Files may lie deeper within a class. A split folder is called ``train`` or ``test``, or ``val``,
``valid`` or ``validation``, whose items belong to neither of the two and are set aside. Where
there are no split folders, a fifth of each class (of everything, without classes) is the test
split: those that come first when sorted by a hash of their ids. So an item's side depends neither
on a seed nor on the order of the files, and an item added moves few of the others.
"""

import os
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pc_crvae.data.cards import Split
from pc_crvae.data.items import Item, Listing
from pc_crvae.data.readers.name_lists import is_name
from pc_crvae.data.splits import held_out_rows
from pc_crvae.errors import UserError

_TEST_SHARE = 0.2
_SPLITS = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
}


@dataclass(frozen=True)
class _File:
    """A file found: where it is, its path below the root, and what the folders say of it."""

    path: Path
    parts: tuple[str, ...]
    split: str | None = None
    category: str | None = None


def read_class_tree(
    root: Path, split: Split, suffixes: Collection[str], classes: tuple[str, ...] = ()
) -> Listing:
    """List what a tree holds of one split, sorted by path, and what was passed over.

    Ids are those of :func:`ids_of`, of the paths relative to ``root``. Hidden files and folders (a
    dot in front) are not looked at.

    Args:
        root: the folder.
        split: ``train`` or ``test``.
        suffixes: those of the files wanted, such as ``.off``; case does not matter.
        classes: the names allowed, in the order of their labels; if empty, those of the folders,
            sorted.

    Raises:
        UserError: a folder cannot be read, the split has no items, a class is not among
            ``classes``, or classes and splits cannot be told apart.
    """
    _, found, ignored = _walk(root, suffixes)
    if not found:
        kinds = ", ".join(sorted(suffixes))
        raise UserError(f"{root} holds no file that ends in {kinds}: is it the right folder?")
    files = _place(root, found)
    names = _class_names(root, files, classes)
    ids = ids_of(["/".join(file.parts) for file in files])
    if all(file.split is None for file in files):
        test = held_out_rows(ids, [file.category for file in files], _TEST_SHARE)
        rows = [row for row in range(len(files)) if (row in test) == (split == "test")]
    else:
        rows = [row for row, file in enumerate(files) if file.split == split]
    if not rows:
        raise UserError(f"{root} has no items for the split {split}")
    set_aside = tuple(file.path for file in files if file.split == "validation")
    if set_aside:
        ignored = {**ignored, "in a validation folder": set_aside}
    labels = {name: label for label, name in enumerate(names)}
    items = [
        Item(file.path, ids[row], None if file.category is None else labels[file.category])
        for row, file in ((row, files[row]) for row in rows)
    ]
    return Listing(items, names, ignored)


def class_tree_paths(root: Path, suffixes: Collection[str]) -> list[Path]:
    """Return every folder that :func:`read_class_tree` looks into and every file it may list."""
    with suppress(UserError):  # which read_class_tree raises in its turn
        folders, files, _ = _walk(root, suffixes)
        return [*folders, *(file.path for file in files)]
    return [root]


def ids_of(paths: Sequence[str]) -> list[str]:
    """Return the ids of files: their paths without suffix, kept where files differ by it alone.

    Args:
        paths: different ones, with ``/`` between folders.

    Returns:
        As many different names.
    """
    stems = [path[: len(path) - len(PurePosixPath(path).suffix)] for path in paths]
    count = Counter(stems)
    ids = [path if count[stem] > 1 else stem for path, stem in zip(paths, stems, strict=True)]
    # Whole paths can meet the stem of another one: x.off and x.obj beside x.off.obj.
    return ids if len(set(ids)) == len(ids) else list(paths)


def _walk(
    root: Path, suffixes: Collection[str]
) -> tuple[list[Path], list[_File], dict[str, tuple[Path, ...]]]:
    """Return the folders from ``root`` down, the wanted files by path, and what was left out."""
    wanted = {suffix.lower() for suffix in suffixes}
    folders: list[Path] = []
    files: list[_File] = []
    ignored: defaultdict[str, list[Path]] = defaultdict(list)
    # A folder is entered once, however many links lead there, and none above the root at all, so
    # that links which go round come to an end.
    entered = {_identity(folder) for folder in (root, *root.resolve().parents)}
    waiting: deque[tuple[Path, tuple[str, ...]]] = deque([(root, ())])
    while waiting:
        folder, parts = waiting.popleft()
        folders.append(folder)
        for entry in _entries(folder):
            path, below = folder / entry.name, (*parts, entry.name)
            if path.is_dir() if entry.is_symlink() else entry.is_dir():
                identity = _identity(path)
                if identity in entered:
                    ignored["a folder met before"].append(path)
                else:
                    entered.add(identity)
                    waiting.append((path, below))
            elif path.suffix.lower() not in wanted:
                ignored["of another kind"].append(path)
            # A link to nowhere is listed, so that whoever opens it says so.
            elif entry.is_file(follow_symlinks=False) or path.is_file() or not path.exists():
                _check_name(path)
                files.append(_File(path, below))
            else:
                ignored["not a regular file"].append(path)
    files.sort(key=lambda file: file.parts)
    return folders, files, {reason: tuple(sorted(paths)) for reason, paths in ignored.items()}


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what is not hidden, links last: a folder goes before a link to it."""
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be read: {error.strerror}") from error
    return sorted(shown, key=lambda entry: (entry.is_symlink(), entry.name))


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be read: {error.strerror}") from error
    return status.st_dev, status.st_ino


def _check_name(path: Path) -> None:
    if not all(is_name(part) for part in path.parts):
        raise UserError(f"{str(path)!r} has a name that is not plain text in UTF-8: rename it")


def _place(root: Path, files: list[_File]) -> list[_File]:
    """Say of each file which split and which class its folders put it into."""
    folders = {file.parts[0] if len(file.parts) > 1 else None for file in files}
    if all(folder is not None and folder.lower() in _SPLITS for folder in folders):
        splits = [_SPLITS[file.parts[0].lower()] for file in files]
        return _with_classes(root, files, splits, 1)
    below = [file for file in files if _is_split_below(file)]
    if not below or None in folders:
        return _with_classes(root, files, [None] * len(files), 0)
    if len(below) < len(files):
        stray = next(file for file in files if not _is_split_below(file))
        raise UserError(
            f"{root} is split for some files only: {below[0].path} lies in a split folder of its "
            f"class and {stray.path} does not"
        )
    return _with_classes(root, files, [_SPLITS[file.parts[1].lower()] for file in files], 0)


def _is_split_below(file: _File) -> bool:
    return len(file.parts) > 2 and file.parts[1].lower() in _SPLITS


def _with_classes(
    root: Path, files: list[_File], splits: Sequence[str | None], depth: int
) -> list[_File]:
    """Take the classes from the folders at ``depth``; no file has one, or every file has."""
    flat = [file for file in files if len(file.parts) == depth + 1]
    if flat and len(flat) < len(files):
        raise UserError(
            f"{flat[0].path} lies outside of the class folders of {root}: move it into one"
        )
    return [
        _File(file.path, file.parts, split, None if flat else file.parts[depth])
        for file, split in zip(files, splits, strict=True)
    ]


def _class_names(root: Path, files: list[_File], classes: tuple[str, ...]) -> tuple[str, ...]:
    found = sorted({file.category for file in files if file.category is not None})
    if not classes:
        return tuple(found)
    unknown = [name for name in found if name not in classes]
    if unknown:
        raise UserError(
            f"{root} has a class folder {unknown[0]}, which is no class of this data set: its "
            f"classes are {', '.join(classes)}"
        )
    return classes
