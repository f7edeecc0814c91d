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


def endless(card: Card, points: int) -> tuple[Rows[np.float32], str]:
    """Return the shapes of the training split's seed by number, and what fixes each of them."""
    from pc_crvae.data.procedural.programs.clouds import ProgramClouds

    seed = card.recipe("train")[2]
    identity = f"programs, version {VERSION}, seed {seed}, {points} points"
    return ProgramClouds(seed, points), identity
