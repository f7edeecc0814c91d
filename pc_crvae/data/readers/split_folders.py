"""Which folders of a tree of one's own are splits, and which are classes.

A split folder is called ``train`` or ``training``; ``test``, ``testing``, ``eval`` or
``evaluation``; ``val``, ``valid``, ``validation``, ``dev`` or ``development``; case and an ending
such as ``_set`` do not matter. A tree that its names leave open is refused, since test items that
are taken for a class are trained on without a word.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pc_crvae.data.cards import Split
from pc_crvae.data.readers.tree_walk import TEXT_SUFFIXES, FoundFile
from pc_crvae.errors import UserError

LOOKED_THROUGH = "looked through, as the only folder"
"""The reason that goes with a folder around the tree."""

_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "validation"),
}
_ENDING = re.compile(r"[-_ ]?(set|data|split)$")
_REMEDY = "call the folders of splits train, validation and test, and move what is of none away"


@dataclass(frozen=True)
class PlacedFile:
    """A file, its path below the root, and what the folders say of it."""

    path: Path
    parts: tuple[str, ...]
    split: Split | None
    category: str | None


def place(
    root: Path, files: Sequence[FoundFile], classes: tuple[str, ...]
) -> tuple[list[PlacedFile], dict[str, tuple[Path, ...]]]:
    """Say of each file which split and which class its folders put it into.

    A table or note outside of the class folders is passed over.

    Args:
        root: the folder that was walked.
        files: one or more.
        classes: the names of classes, where a card states them.

    Returns:
        Files with their splits and classes, and what was passed over, by the reason.

    Raises:
        UserError: classes and splits cannot be told apart; the sentence names what is astray.
    """
    passed_over: dict[str, tuple[Path, ...]] = {}
    depth = 0
    files, strays = _without_tables(files, depth)
    while (wrapper := _wrapper(files, depth, classes)) is not None:
        depth += 1
        passed_over[LOOKED_THROUGH] = (root.joinpath(*wrapper),)
        files, more = _without_tables(files, depth)
        strays += more
    above = _splits_above(root, files, depth, classes)
    splits: Sequence[Split | None]
    if above is not None:
        depth += 1
        files, more = _without_tables(files, depth)
        strays += more
        splits = [split_of(file.parts[depth - 1]) for file in files]
    else:
        splits = _splits_below(root, files, depth)
    if strays:
        passed_over["outside of the class folders"] = tuple(strays)
    return _with_classes(root, files, splits, depth), passed_over


def split_of(folder: str) -> Split | None:
    """Return the split that a folder of this name holds; None where its name says none."""
    name = folder.lower().strip()
    return _SPLITS.get(name) or _SPLITS.get(_ENDING.sub("", name))


def _folders(files: Sequence[FoundFile], depth: int) -> set[str | None]:
    """The names of the folders at a depth; None for a file that lies there itself."""
    return {file.parts[depth] if len(file.parts) > depth + 1 else None for file in files}


def _below(files: Sequence[FoundFile], depth: int, folder: str) -> list[FoundFile]:
    return [f for f in files if len(f.parts) > depth + 1 and f.parts[depth] == folder]


def _names(folders: Collection[str | None]) -> set[str]:
    return {folder for folder in folders if folder is not None}


def _wrapper(
    files: Sequence[FoundFile], depth: int, classes: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Return the path of the only folder at a depth, if it is no class but holds the classes."""
    (folder, *others) = _folders(files, depth)
    if others or folder is None or folder in classes or split_of(folder) is not None:
        return None
    inner = _folders(files, depth + 1)
    path = files[0].parts[: depth + 1]
    if None in inner:
        return None
    if len(inner) == 1 and split_of(next(iter(_names(inner)))) is None:
        return None if _wrapper(files, depth + 1, classes) is None else path
    if classes:
        return path
    names = _names(inner)
    kinds = {name: split_of(name) for name in names}
    if len({*kinds.values()} - {None}) >= 2 or None not in kinds.values():
        # A class with splits below it, or splits that hold classes, of which several are common.
        deeper = [_folders(_below(files, depth + 1, name), depth + 2) for name in sorted(names)]
        if None in kinds.values() or (
            all(None not in part for part in deeper)
            and (_common(deeper) or _gathers(files, depth + 2))
        ):
            return path
        return None
    if all(len(f.parts) > depth + 3 and split_of(f.parts[depth + 2]) for f in files):
        return path
    return path if _gathers(files, depth + 1) else None


def _common(groups: Sequence[set[str | None]]) -> bool:
    """Whether a name is in two groups."""
    return sum(len(_names(group)) for group in groups) > len(_names(set().union(*groups)))


def _gathers(files: Sequence[FoundFile], depth: int) -> bool:
    """Whether a folder at a depth holds several shapes, rather than the files of one."""
    shapes: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for file in files:
        stem = (*file.parts[depth + 1 : -1], file.path.stem.lower())
        shapes.setdefault(file.parts[: depth + 1], set()).add(stem)
    return any(len(stems) > 1 for stems in shapes.values())


def _without_tables(files: Sequence[FoundFile], depth: int) -> tuple[list[FoundFile], list[Path]]:
    """Leave out the tables and notes that lie beside the folders at a depth."""
    here = [file for file in files if len(file.parts) == depth + 1]
    strays = [file for file in here if file.path.suffix.lower() in TEXT_SUFFIXES]
    if not strays or len(here) == len(files):
        return list(files), []
    astray = set(strays)
    left = [file for file in files if file not in astray]
    return left, [file.path for file in strays]


def _splits_above(
    root: Path, files: Sequence[FoundFile], depth: int, classes: tuple[str, ...]
) -> set[str] | None:
    """Return the split folders at a depth, where they are all that is there; else None.

    Raises:
        UserError: some folders there are splits, and it is not sure that the others are classes.
    """
    folders = _folders(files, depth)
    splits = {name for name in _names(folders) if split_of(name) is not None}
    if splits == folders:
        return splits
    if splits & set(classes):
        return None
    strays = sorted(folders - splits, key=str)
    stray = next((name for name in strays if name is not None), None)
    if stray is None and splits:
        loose = next(file.path for file in files if len(file.parts) == depth + 1)
        raise UserError(f"{loose} lies outside of the class folders of {root}: move it into one")
    kinds = {split_of(name) for name in splits}
    if len(kinds) > 1 or any(_is_split_by_content(files, depth, name) for name in splits):
        raise UserError(
            f"{root} holds the folder {stray} beside {', '.join(sorted(splits))}, so that it "
            f"cannot be told whether they are splits or classes: {_REMEDY}"
        )
    _refuse_hints(root, _names(folders))
    return None


def _is_split_by_content(files: Sequence[FoundFile], depth: int, folder: str) -> bool:
    """Whether a folder that is called as a split holds classes, as far as can be told."""
    own = _below(files, depth, folder)
    if any(len(file.parts) == depth + 2 for file in own):
        return False
    others = [f for f in files if len(f.parts) > depth + 2 and f.parts[depth] != folder]
    inner = _names(_folders(own, depth + 1))
    return bool(inner & _names(_folders(others, depth + 1))) or _gathers(own, depth + 1)


def _refuse_hints(root: Path, names: set[str]) -> None:
    """Refuse folders that all look like splits by a part of their names.

    So do ``train2017`` and ``testA``.
    """
    hinted = {name: {_SPLITS[word] for word in _words(name) if word in _SPLITS} for name in names}
    if all(hinted.values()) and len(set().union(*hinted.values())) > 1:
        raise UserError(
            f"{root} holds the folders {', '.join(sorted(names)[:4])}, so that it cannot be told "
            f"whether they are splits or classes: {_REMEDY}"
        )


def _words(name: str) -> list[str]:
    """The words of a name in lower case; a capital within begins another one."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall("[a-z]+", apart.lower())


def _splits_below(root: Path, files: Sequence[FoundFile], depth: int) -> list[Split | None]:
    below = [file for file in files if _is_split_below(file, depth)]
    if None in _folders(files, depth):
        return [None] * len(files)
    if not below:
        inner = _folders(files, depth + 1)
        if None not in inner:
            _refuse_hints(root, _names(inner))
        return [None] * len(files)
    if len(below) < len(files):
        stray = next(file for file in files if not _is_split_below(file, depth))
        raise UserError(
            f"{root} is split for some files only: {below[0].path} lies in a split folder of its "
            f"class and {stray.path} does not"
        )
    return [split_of(file.parts[depth + 1]) for file in files]


def _is_split_below(file: FoundFile, depth: int) -> bool:
    return len(file.parts) > depth + 2 and split_of(file.parts[depth + 1]) is not None


def _with_classes(
    root: Path, files: Sequence[FoundFile], splits: Sequence[Split | None], depth: int
) -> list[PlacedFile]:
    """Take the classes from the folders at ``depth``; no file has one, or every file has."""
    flat = [file for file in files if len(file.parts) == depth + 1]
    if flat and len(flat) < len(files):
        raise UserError(
            f"{flat[0].path} lies outside of the class folders of {root}: move it into one"
        )
    return [
        PlacedFile(file.path, file.parts, split, None if flat else file.parts[depth])
        for file, split in zip(files, splits, strict=True)
    ]
