"""Folders of one's own meshes, one file per shape, in the trees of :mod:`.class_tree`."""

from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.meshes import load_points
from pc_crvae.data.formats.registry import MESH_SUFFIXES
from pc_crvae.data.items import Listing
from pc_crvae.data.readers.class_tree import read_class_tree

VERSION = 2

__all__ = ["list_items", "load_points"]


def list_items(root: Path, split: Split, card: Card) -> Listing:
    """List the meshes of a split, sorted by path, and what was passed over.

    Raises:
        UserError: as :func:`read_class_tree`.
    """
    return read_class_tree(root, split, MESH_SUFFIXES, card.classes)
