"""The layout of the set `shapes`: nothing is read, a card's count and seed make a split."""

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.items import RawItems

VERSION = 1


def read_split(root: None, split: Split, card: Card) -> RawItems:
    """Make one split."""
    from pc_crvae.data.procedural.shapes import CLASSES, make_shapes

    count, points, seed = card.recipe(split)
    clouds, labels = make_shapes(count, points, seed)
    ids = tuple(f"{CLASSES[label]}-{row:05d}" for row, label in enumerate(labels))
    return RawItems(clouds, labels, CLASSES, ids)
