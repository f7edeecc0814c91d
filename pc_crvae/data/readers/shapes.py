"""The layout of the set `shapes`: nothing is read, a card's count and seed make a split."""

from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.items import RawItems

VERSION = 1


def read_split(root: None, split: Split, card: Card) -> RawItems:
    """Make one split."""
    from pc_crvae.data.procedural.shapes import CLASSES, make_shapes

    count, seed = card.recipe(split)
    if card.points is None:
        raise ValueError(f"the card {card.name} needs points")
    points, labels = make_shapes(count, card.points, seed)
    ids = tuple(f"{CLASSES[label]}-{row:05d}" for row, label in enumerate(labels))
    return RawItems(points, labels, CLASSES, ids)


def source_paths(root: None, split: Split, card: Card) -> list[Path]:
    """Return nothing: no file is looked at."""
    return []
