"""Reader of the layout ``modelnet40_normal_resampled``: one text file per shape, listed by split.

A root holds ``modelnet40_shape_names.txt`` (one class per line), ``modelnet40_train.txt`` and
``modelnet40_test.txt`` (one id per line, such as ``night_stand_0188``), the same of ``modelnet10``,
and one folder per class, or a folder ``modelnet40_normal_resampled`` that holds these. A file has
10,000 lines ``x,y,z,nx,ny,nz``; y is up.
"""

from collections import Counter
from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.cloud_files import load_points_and_normals as load_points
from pc_crvae.data.items import Item, Listing
from pc_crvae.data.readers.labels import labels_of
from pc_crvae.data.readers.name_lists import read_lines
from pc_crvae.data.readers.variants import form_of
from pc_crvae.errors import UserError

VERSION = 1

__all__ = ["list_items", "load_points"]

_INNER = "modelnet40_normal_resampled"
_VARIANTS: dict[str | None, str] = {"modelnet10": "modelnet10", "modelnet40": "modelnet40"}


def list_items(root: Path, split: Split, card: Card) -> Listing:
    """List the shapes of a split in the order of the official list, and the class names.

    The card's variant, ``modelnet40`` or ``modelnet10``, says which lists. Where those of
    ``modelnet10`` are missing, they are taken from those of ``modelnet40``: of its ten classes both
    have the same shapes in the same splits. A listed shape whose file is missing is an item too, so
    that whoever reads it says so.

    Raises:
        UserError: a list is missing or empty, an id is of no class or listed twice, or the folders
            of the classes are missing.
    """
    variant = form_of(card, _VARIANTS)
    names_path = root / f"{variant}_shape_names.txt"
    classes = tuple(read_lines(names_path))
    labels_of(classes, card, names_path)
    folder = _folder(root, classes)
    list_path = _list(root, split, variant)
    of_more_classes = not list_path.name.startswith(variant)
    label_of = {name: label for label, name in enumerate(classes)}
    items = []
    for name in read_lines(list_path):
        category = name.rpartition("_")[0]
        if category in label_of:
            items.append(Item(folder / category / f"{name}.txt", name, label_of[category]))
        elif not of_more_classes:
            raise UserError(f"{list_path} lists {name[:80]}, whose class {names_path} lacks")
    if not items:
        raise UserError(f"{list_path} lists no shape of the classes of {names_path}")
    name, count = Counter(item.id for item in items).most_common(1)[0]
    if count > 1:
        raise UserError(f"{list_path} lists {name[:80]} {count} times")
    return Listing(items, classes)


def _folder(root: Path, classes: tuple[str, ...]) -> Path:
    """Return where the folders of the classes are."""
    for folder in (root, root / _INNER):
        if any((folder / name).is_dir() for name in classes):
            return folder
    raise UserError(f"{root} holds no folder {classes[0][:80]} nor any other of a class")


def _list(root: Path, split: Split, variant: str) -> Path:
    path = root / f"{variant}_{split}.txt"
    if variant == "modelnet10" and not path.is_file():
        return root / f"modelnet40_{split}.txt"
    return path
