"""Folders of one's own: one file per shape or picture, with or without class and split folders.

These trees are understood, as the folders that hold items of the wanted kind tell:

- ``chair/a.off``: one folder per class, no splits;
- ``chair/train/a.off``: splits below the classes;
- ``train/chair/a.off``: splits above the classes;
- ``train/a.off``: splits without classes;
- ``a.off``: neither.

Files may lie deeper within a class. Which folders are splits, :mod:`.split_folders` says; a lone
folder around such a tree is looked through. Items of a validation folder belong to neither of the
other splits. Where there are no split folders, a fifth of each class (of everything, without
classes) is the test split: those that come first when sorted by a hash of their ids. So an item's
side depends neither on a seed nor on the order of the files, and an item added moves few of the
others.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pc_crvae.data.cards import Split
from pc_crvae.data.items import Item, Listing
from pc_crvae.data.readers.split_folders import PlacedFile, place
from pc_crvae.data.readers.tree_walk import walk
from pc_crvae.data.splits import held_out_rows
from pc_crvae.errors import UserError

_TEST_SHARE = 0.2


class NoItemsError(UserError):
    """A folder that holds nothing of a split."""


def read_class_tree(
    root: Path, split: Split, suffixes: Collection[str], classes: tuple[str, ...] = ()
) -> Listing:
    """List what a tree holds of one split, sorted by path, and what was passed over.

    Ids are those of :func:`ids_of`, of the paths relative to ``root``. What is looked at,
    :func:`~pc_crvae.data.readers.tree_walk.walk` says.

    Args:
        root: the folder.
        split: ``train``, ``validation`` (of folders of that name alone) or ``test``.
        suffixes: those of the files wanted, such as ``.off``; case does not matter.
        classes: the names allowed, in the order of their labels; if empty, those of the folders,
            sorted.

    Raises:
        NoItemsError: the split has no items.
        UserError: a folder cannot be read, a class is not among ``classes``, or classes and splits
            cannot be told apart.
    """
    found = walk(root, suffixes)
    if not found.files:
        kinds = ", ".join(sorted(suffixes))
        raise UserError(f"{root} holds no file that ends in {kinds}: is it the right folder?")
    files, strays = place(root, found.files, classes)
    ignored = {**found.passed_over, **strays}
    names = _class_names(root, files, classes)
    ids = ids_of(["/".join(file.parts) for file in files])
    if all(file.split is None for file in files):
        test = held_out_rows(ids, [file.category for file in files], _TEST_SHARE)
        sides: list[Split | None] = ["test" if row in test else "train" for row in range(len(ids))]
    else:
        sides = [file.split for file in files]
    rows = [row for row, side in enumerate(sides) if side == split]
    if not rows:
        raise NoItemsError(f"{root} has no items for the split {split}")
    set_aside = tuple(file.path for file in files if file.split == "validation")
    if set_aside:
        ignored["in a validation folder"] = set_aside
    labels: dict[str | None, int] = {name: label for label, name in enumerate(names)}
    items = [Item(files[row].path, ids[row], labels.get(files[row].category)) for row in rows]
    return Listing(items, names, ignored)


def class_tree_paths(root: Path, suffixes: Collection[str]) -> list[Path]:
    """Return every folder that :func:`read_class_tree` looks into and every file it may list."""
    with suppress(UserError):  # which read_class_tree raises in its turn
        found = walk(root, suffixes)
        return [*found.folders, *(file.path for file in found.files)]
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


def _class_names(root: Path, files: list[PlacedFile], classes: tuple[str, ...]) -> tuple[str, ...]:
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
