"""The layout of the set `programs`: nothing is read, a card's count and seed make a split."""

from pathlib import Path

import numpy as np

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.items import RawItems, Rows
from pc_crvae.data.procedural.programs import VERSION


def read_split(root: None, split: Split, card: Card) -> RawItems:
    """Make one split: the first shapes of its seed, which have no labels."""
    from pc_crvae.data.procedural.programs.clouds import draw_clouds

    count, seed = card.recipe(split)
    points = draw_clouds(seed, range(count), _points(card))
    return RawItems(points, None, (), tuple(f"program-{row:07d}" for row in range(count)))


def source_paths(root: None, split: Split, card: Card) -> list[Path]:
    """Return nothing: no file is looked at."""
    return []


def endless_rows(card: Card, points: int) -> Rows[np.float32]:
    """Return the shapes of the training split's seed, by number."""
    from pc_crvae.data.procedural.programs.clouds import ProgramClouds

    return ProgramClouds(card.recipe("train")[1], points)


def fingerprint(card: Card) -> str:
    """Return the version of the generator and the seed of the training split."""
    return f"programs, version {VERSION}, seed {card.recipe('train')[1]}"


def _points(card: Card) -> int:
    if card.points is None:
        raise ValueError(f"the card {card.name} needs points")
    return card.points
