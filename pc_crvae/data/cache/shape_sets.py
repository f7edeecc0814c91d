"""Sets that keep each shape in a file of its own, prepared as their cards say."""

from pathlib import Path

from rich.console import Console

from pc_crvae.data.cache.preparation import Prepared, Recipe, Shapes, prepare
from pc_crvae.data.cards import Card, Split
from pc_crvae.data.facing import up_of_file
from pc_crvae.data.layouts import shape_reader_of
from pc_crvae.utils.processes import is_main_process
from pc_crvae.utils.up_axes import parse_up

_POINTS = 2048
"""Drawn of a shape where the card does not say how many."""


def prepare_shapes(
    card: Card,
    split: Split,
    folder: Path,
    up: str | None = None,
    *,
    normals: bool = False,
    drop_nan: bool = False,
    workers: int | None = None,
) -> Prepared:
    """Return a split from its entry in the store, prepared before if need be.

    Args:
        card: the card of the set.
        split: the split of the set.
        folder: the folder of its files.
        up: what is said of the axis that points up in the files, as of :func:`load`.
        normals: whether to keep the normal at each point, of a layout that has them.
        drop_nan: whether to leave out points that are NaN or infinite, of a layout that can.
        workers: processes to draw with; the processors that this process may use by default.

    Raises:
        UserError: the folder is not of the card's layout, or the entry cannot be written. Files
            that cannot be used raise nothing here: :meth:`Prepared.checked` does.
    """
    reader = shape_reader_of(card)
    folder = folder.resolve()  # so that its files are the same ones from any working directory
    otherwise = card.up or "z"
    return prepare(
        Shapes(
            name=card.name,
            split=split,
            listing=reader.list_items(folder, split, card),
            load_points=getattr(reader, "load_measured_points" if drop_nan else "load_points"),
            reader=reader.VERSION,
            up_of=lambda path: up_of_file(path, up, otherwise),
        ),
        Recipe(
            up=parse_up(up).default or otherwise, points=card.points or _POINTS, normals=normals
        ),
        {"layout": card.layout, "variant": card.variant, "folder": str(folder)}
        | ({"drop_nan": True} if drop_nan else {}),
        workers=workers,
        console=Console(stderr=True, highlight=False, quiet=not is_main_process()),
    )
