"""Folders of one's own clouds, a file a shape, in the trees of :mod:`.class_tree`.

:func:`pc_crvae.data.formats.cloud_files.load_points` reads a file of it.
"""

from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.cloud_files import SUFFIXES, load_points
from pc_crvae.data.items import Item
from pc_crvae.data.readers.class_tree import ClassTree, class_tree_paths, read_class_tree

VERSION = 1

__all__ = ["list_items", "load_points", "read_tree", "source_paths"]


def list_items(root: Path, split: Split, card: Card) -> tuple[list[Item], tuple[str, ...]]:
    """List the clouds of a split, in a fixed order, and the class names.

    Raises:
        UserError: as :func:`read_tree`.
    """
    tree = read_tree(root, split, card)
    return tree.items, tree.classes


def read_tree(root: Path, split: Split, card: Card) -> ClassTree:
    """List the clouds of a split, the class names, and what was passed over.

    Raises:
        UserError: a folder cannot be read, holds nothing of the split, or names a class that is
            not the card's.
    """
    return read_class_tree(root, split, SUFFIXES, card.classes)


def source_paths(root: Path, split: Split, card: Card) -> list[Path]:
    """Return every path that :func:`list_items` and the reading of its items look at."""
    return class_tree_paths(root, SUFFIXES)
