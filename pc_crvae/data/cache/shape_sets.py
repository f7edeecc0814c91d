"""Sets that keep each shape in a file of its own, prepared as their cards say."""

from pathlib import Path

from rich.console import Console

from pc_crvae.data.cache.preparation import Prepared, Recipe, Shapes, prepare
from pc_crvae.data.cards import Axis, Card, Split
from pc_crvae.data.layouts import check_normals, shape_reader_of
from pc_crvae.utils.processes import is_main_process

_POINTS = 2048
"""Drawn of a shape where the card does not say how many."""


def prepare_shapes(
    card: Card,
    split: Split,
    folder: Path,
    up: Axis,
    *,
    normals: bool = False,
    workers: int | None = None,
) -> Prepared:
    """Return a split from its entry in the store, prepared before if need be.

    Args:
        card: the card of the set.
        split: the split of the set.
        folder: the folder of its files.
        up: the axis that points up in the files.
        normals: whether to keep the normal at each point.
        workers: processes to draw with; the processors that this process may use by default.

    Raises:
        UserError: the folder is not of the card's layout, the entry cannot be written, or normals
            are not read of this layout. Files that cannot be used raise nothing here:
            :meth:`Prepared.checked` does.
    """
    if normals:
        check_normals(card)
    reader = shape_reader_of(card)
    folder = folder.resolve()  # so that its files are the same ones from any working directory
    items, classes, passed_over = reader.list_items(folder, split, card)
    return prepare(
        Shapes(
            name=card.name,
            split=split,
            items=items,
            classes=classes,
            load_points=reader.load_points,
            reader=reader.VERSION,
            passed_over=passed_over,
        ),
        Recipe(up=up, points=card.points or _POINTS, normals=normals),
        {"layout": card.layout, "variant": card.variant, "folder": str(folder)},
        workers=workers,
        console=Console(stderr=True, highlight=False, quiet=not is_main_process()),
    )
