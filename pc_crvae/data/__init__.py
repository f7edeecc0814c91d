"""Data sets: cards that describe them, readers of their layouts, clouds in memory."""

from pathlib import Path

from pc_crvae.data.cards import Axis, Card, Split, card_names, load_card
from pc_crvae.data.clouds import CloudSet, RawClouds, normalize, turn_z_up
from pc_crvae.data.roots import find_root
from pc_crvae.data.splits import split_validation
from pc_crvae.errors import UserError

__all__ = ["Card", "CloudSet", "card_names", "load", "load_card", "split_validation"]


def load(
    name: str | Path, split: Split, *, root: Path | None = None, up: Axis | None = None
) -> CloudSet:
    """Load one split of a data set: z up, each cloud with mean 0 and largest radius 1.

    Args:
        name: of a card that comes with the package, or the path of one's own.
        split: the official one; :func:`split_validation` cuts a validation split from train.
        root: the folder of the files, instead of where :func:`find_root` looks by default.
        up: the axis that points up in the files, instead of what the card says.

    Raises:
        UserError: the card, the folder or a file is missing or cannot be used.
    """
    card = load_card(name)
    if split not in card.splits:
        raise UserError(f"{card.name} has no split {split}: its card has {', '.join(card.splits)}")
    raw = _generate(card, split, root) if card.layout == "shapes" else _read(card, split, root)
    return CloudSet(
        name=card.name,
        split=split,
        points=normalize(turn_z_up(raw.points, up or card.up)),
        labels=raw.labels,
        classes=raw.classes,
        ids=raw.ids,
    )


def _generate(card: Card, split: Split, root: Path | None) -> RawClouds:
    from pc_crvae.data.shapes import CLASSES, make_shapes

    if root is not None:
        raise UserError(
            f"{card.name} is generated and reads no files: leave out data.root ({root})"
        )
    count, seed = card.recipe(split)
    points, labels = make_shapes(count, card.points, seed)
    ids = tuple(f"{CLASSES[label]}-{row:05d}" for row, label in enumerate(labels))
    return RawClouds(points, labels, CLASSES, ids)


def _read(card: Card, split: Split, root: Path | None) -> RawClouds:
    from pc_crvae.data.modelnet_hdf5 import read_split

    folder = find_root(card, root)
    raw = read_split(folder, split)
    unknown = [name for name in raw.classes if name not in card.classes]
    if unknown:
        raise UserError(
            f"{folder / 'shape_names.txt'} names {unknown[0]}, which is no class of {card.name}: "
            "is it the folder of another data set?"
        )
    return raw
