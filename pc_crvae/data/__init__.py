"""Data sets: cards that describe them, readers of their layouts, and the clouds they hold."""

from collections.abc import Iterable
from pathlib import Path

from pc_crvae.data.cards import Axis, Card, Split, card_names, load_card
from pc_crvae.data.clouds import CloudSet, RawClouds, normalize, turn_z_up
from pc_crvae.data.roots import find_root
from pc_crvae.data.splits import split_validation
from pc_crvae.data.store import load_prepared
from pc_crvae.errors import UserError

__all__ = ["Card", "CloudSet", "card_names", "load", "load_card", "split_validation"]


def load(
    name: str | Path, split: Split, *, root: Path | None = None, up: Axis | None = None
) -> CloudSet:
    """Load one split of a data set: z up, each cloud with mean 0 and largest radius 1.

    The first load reads or generates it and keeps it on disk, where later ones map it from
    (:mod:`pc_crvae.data.store`).

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
    up = up or card.up
    folder = _folder(card, root)

    def prepare() -> CloudSet:
        raw = _generate(card, split) if folder is None else _read(card, split, folder)
        return CloudSet(
            name=card.name,
            split=split,
            points=normalize(turn_z_up(raw.points, up)),
            labels=raw.labels,
            classes=raw.classes,
            ids=raw.ids,
        )

    return load_prepared(
        card.name,
        split,
        {
            "layout": card.layout,
            "up": up,
            "folder": None if folder is None else str(folder.resolve()),
            "recipe": (card.points, *card.recipe(split)) if folder is None else None,
            "classes": card.classes,
        },
        sources=lambda: _sources(split, folder),
        prepare=prepare,
    )


def _folder(card: Card, root: Path | None) -> Path | None:
    """Return where the files lie; None for a generated set, which has none."""
    if card.layout != "shapes":
        return find_root(card, root)
    if root is not None:
        raise UserError(
            f"{card.name} is generated and reads no files: leave out data.root ({root})"
        )
    return None


def _sources(split: Split, folder: Path | None) -> Iterable[Path]:
    from pc_crvae.data.modelnet_hdf5 import source_paths

    # Absolute, so that they are the same files from any working directory.
    return [] if folder is None else source_paths(folder.resolve(), split)


def _generate(card: Card, split: Split) -> RawClouds:
    from pc_crvae.data.shapes import CLASSES, make_shapes

    count, seed = card.recipe(split)
    points, labels = make_shapes(count, card.points, seed)
    ids = tuple(f"{CLASSES[label]}-{row:05d}" for row, label in enumerate(labels))
    return RawClouds(points, labels, CLASSES, ids)


def _read(card: Card, split: Split, folder: Path) -> RawClouds:
    from pc_crvae.data.modelnet_hdf5 import read_split

    raw = read_split(folder, split)
    unknown = [name for name in raw.classes if name not in card.classes]
    if unknown:
        raise UserError(
            f"{folder / 'shape_names.txt'} names {unknown[0]}, which is no class of {card.name}: "
            "is it the folder of another data set?"
        )
    return raw
