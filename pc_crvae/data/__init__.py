"""Data sets: cards that describe them, readers of their layouts, and the items they hold."""

from pc_crvae.data.cards import Card, card_names, load_card
from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.images import ImageSet
from pc_crvae.data.items import ItemSet
from pc_crvae.data.loading import from_folder, load, load_clouds, load_training
from pc_crvae.data.splits import split_validation

__all__ = [
    "Card",
    "CloudSet",
    "ImageSet",
    "ItemSet",
    "card_names",
    "from_folder",
    "load",
    "load_card",
    "load_clouds",
    "load_training",
    "split_validation",
]
