"""The layout of the set `programs`: nothing is read, a card's count and seed make a split."""

import numpy as np

from pc_crvae.data.cards import Card, Split
from pc_crvae.data.items import RawItems, Rows
from pc_crvae.data.procedural.programs import VERSION


def read_split(root: None, split: Split, card: Card) -> RawItems:
    """Make one split: the first shapes of its seed, which have no labels."""
    from pc_crvae.data.procedural.programs.clouds import draw_clouds

    count, points, seed = card.recipe(split)
    clouds = draw_clouds(seed, range(count), points)
    return RawItems(clouds, None, (), tuple(f"program-{row:07d}" for row in range(count)))


def endless_rows(card: Card, points: int) -> Rows[np.float32]:
    """Return the shapes of the training split's seed, by number."""
    from pc_crvae.data.procedural.programs.clouds import ProgramClouds

    return ProgramClouds(card.recipe("train")[2], points)


def fingerprint(card: Card) -> str:
    """Return the version of the generator and the seed of the training split."""
    return f"programs, version {VERSION}, seed {card.recipe('train')[2]}"
