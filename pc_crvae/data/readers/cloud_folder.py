"""Folders of one's own clouds, one file per shape, in the trees of :mod:`.class_tree`."""

from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.cloud_files import load_measured_points, load_points
from pc_crvae.data.formats.registry import CLOUD_SUFFIXES
from pc_crvae.data.items import Listing
from pc_crvae.data.readers.class_tree import read_class_tree

VERSION = 2

__all__ = ["list_items", "load_measured_points", "load_points"]


def list_items(root: Path, split: Split, card: Card) -> Listing:
    """List the clouds of a split, sorted by path, and what was passed over.

    Raises:
        UserError: as :func:`read_class_tree`.
    """
    return read_class_tree(root, split, CLOUD_SUFFIXES, card.classes)
