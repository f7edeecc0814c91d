"""``data preview``: a contact sheet of random items of each class."""

import argparse
from pathlib import Path

from pc_crvae.cli.data.sets import load_split, splits_of
from pc_crvae.cli.options import add_count, add_out, add_reading, add_seed, add_shared
from pc_crvae.utils.files import require_writable

DESCRIPTION = "Draw random items of each class of a data set, as a picture and a page."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_reading(parser)
    add_shared(parser, "--drop-nan")
    add_count(parser, "--per-class", default=8, metavar="COUNT")
    add_seed(parser, "which items are drawn")
    add_out(parser, "the folder that a picture and a page of each split go into", "previews/NAME")


def run(options: argparse.Namespace) -> None:
    """Draw every split that is asked for."""
    from pc_crvae.data.cards import load_card

    card = load_card(options.name)
    per_class: int = options.per_class
    folder: Path = options.out or Path("previews") / card.name
    require_writable(folder / "train.png")
    for split in splits_of(options):
        items = load_split(options, split)
        from pc_crvae.visualization.contact_page import contact_page
        from pc_crvae.visualization.contact_sheet import Tile, contact_sheet, rows_by_class

        labels = len(items) if items.labels is None else items.labels
        chosen, titles = rows_by_class(labels, items.classes, per_class, seed=options.seed)
        rows = [[Tile(items.ids[row], items.array[row]) for row in rows] for rows in chosen]
        title = f"{card.title}: {split}, {len(items):,} items"
        for write, suffix in ((contact_sheet, "png"), (contact_page, "html")):
            path = folder / f"{split}.{suffix}"
            write(rows, path, row_titles=titles, title=title)
            print(path)
