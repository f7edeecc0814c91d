"""``data fetch``: a data set downloaded, or what to do by hand."""

import argparse
from pathlib import Path

from pc_crvae.cli.data.sets import found_root
from pc_crvae.cli.options import add_data_root
from pc_crvae.errors import UserError

DESCRIPTION = "Download a data set, or say what to do by hand."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME")
    add_data_root(parser, "the folder that data list shows")


def run(options: argparse.Namespace) -> None:
    """Download what is not here yet."""
    from pc_crvae.data.cards import load_card
    from pc_crvae.data.roots import default_roots

    card = load_card(options.name)
    root: Path | None = options.data_root
    if not card.reads_files:
        print(f"{card.name} reads no files: there is nothing to fetch")
        return
    if card.folder is None and not card.sources:
        raise UserError(f"{card.name} is a folder of your own: there is nothing to fetch")
    if card.gated or not card.sources:
        found = root if root is not None and root.is_dir() else found_root(card)
        if found is not None:
            print(f"{card.name} is here already: {found}")
            return
        why = "is gated, so only you can ask for it" if card.gated else "is published nowhere"
        place = root or default_roots(card)[0]
        raise UserError(f"{card.name} {why}: {card.how_to_get()}; then put its files into {place}")

    from pc_crvae.data.fetching.download import fetch

    folder = root or found_root(card) or default_roots(card)[0]
    for path in fetch(card, folder):
        print(path)
