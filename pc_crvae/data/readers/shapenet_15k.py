"""Reader of ``ShapeNetCore.v2.PC15k``: clouds of 15,000 points, a NumPy file a shape.

The layout is that of PointFlow's data (Yang et al., ICCV 2019): a folder a synset, in it the
folders ``train``, ``val`` and ``test``, in them ``<model>.npy`` with an array (15000, 3). The
validation shapes are in neither split.
"""

from dataclasses import replace
from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.formats.cloud_files import load_points
from pc_crvae.data.items import Listing
from pc_crvae.data.readers.class_tree import read_class_tree
from pc_crvae.data.readers.synsets import SHAPENET_SYNSETS
from pc_crvae.errors import UserError

VERSION = 2

__all__ = ["list_items", "load_points"]


def list_items(root: Path, split: Split, card: Card) -> Listing:
    """List the shapes of a split, sorted by path, and what was passed over.

    Ids are synset and model (``02691156/1a04e3ea``); synsets without a folder are left out.

    Raises:
        UserError: the root holds no folder of a synset of the card's, or one that is none, or
            nothing of the split.
    """
    own = {synset: name for synset, name in SHAPENET_SYNSETS.items() if name in card.classes}
    synsets = {synset: card.classes.index(name) for synset, name in own.items()}
    tree = read_class_tree(root, split, {".npy"}, tuple(synsets))
    items = []
    for item in tree.items:
        synset = "" if item.label is None else tree.classes[item.label]
        if item.path.parent.relative_to(root).parts != (synset, split):
            raise UserError(
                f"{item.path} is not where a shape of {card.name} belongs, which is "
                f"<synset>/{split}/<model>.npy below {root}: is it the folder with the synsets?"
            )
        items.append(replace(item, id=f"{synset}/{item.path.stem}", label=synsets[synset]))
    return Listing(items, card.classes, tree.passed_over)
