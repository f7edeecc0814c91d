"""ModelNet's meshes as their authors give them: ``<class>/<split>/<id>.off``."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.meshes import load_points
from pc_crvae.data.items import Listing
from pc_crvae.data.readers.class_tree import read_class_tree
from pc_crvae.errors import UserError

VERSION = 2

__all__ = ["list_items", "load_points"]


def list_items(root: Path, split: Split, card: Card) -> Listing:
    """List the meshes of a split, sorted by path, and what was passed over.

    Ids are the files' names without suffix, or their paths where two classes share one.

    Raises:
        UserError: a folder cannot be read, holds nothing of the split, is laid out otherwise, or
            names a class that is not the card's.
    """
    tree = read_class_tree(root, split, {".off"}, card.classes)
    astray = [item for item in tree.items if item.path.parts[-2:-1] != (split,)]
    if astray or any(item.label is None for item in tree.items):
        path = (astray or tree.items)[0].path
        raise UserError(
            f"{path} is not where a mesh of {card.name} belongs, which is <class>/{split}/<id>.off "
            f"below {root}: is it the folder with the class folders?"
        )
    names = [item.path.stem for item in tree.items]
    if max(Counter(names).values()) > 1:
        return tree
    items = [replace(item, id=name) for item, name in zip(tree.items, names, strict=True)]
    return tree._replace(items=items)
