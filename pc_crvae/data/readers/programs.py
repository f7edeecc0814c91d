"""The layout of the set `programs`: nothing is read, a card's count and seed make a split."""

from pathlib import Path

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.items import RawItems

VERSION = 1


def read_split(root: None, split: Split, card: Card) -> RawItems:
    """Make one split: the first shapes of its seed, which have no labels."""
    from pc_crvae.data.procedural.programs.clouds import make_clouds

    count, seed = card.recipe(split)
    if card.points is None:
        raise ValueError(f"the card {card.name} needs points")
    points = make_clouds(seed, range(count), card.points)
    return RawItems(points, None, (), tuple(f"program-{row:07d}" for row in range(count)))


def source_paths(root: None, split: Split, card: Card) -> list[Path]:
    """Return nothing: no file is looked at."""
    return []
