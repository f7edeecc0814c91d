"""``data show``: what is known of a data set."""

import argparse

from pc_crvae.cli.data.sets import found_root, where_without_files
from pc_crvae.cli.options import add_json
from pc_crvae.utils.files import require_writable, write_json

DESCRIPTION = (
    "Show the licence, the citation, the sources, the splits and the defects of a data set."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", metavar="NAME")
    add_json(parser, "what is printed", "nowhere")


def run(options: argparse.Namespace) -> None:
    """Print what its card says, and write it."""
    from pc_crvae.data.cards import load_card
    from pc_crvae.utils.templates import template_beside

    require_writable(options.json)
    card = load_card(options.name)
    found = found_root(card)
    here = str(found) if found else where_without_files(card)
    splits = [
        f"{split} {part.count:,}" if part.count else f"{split} (not published)"
        for split, part in card.splits.items()
    ]
    text = template_beside(__file__, "show.txt").render(card=card, here=here, splits=splits)
    print(text, end="")
    if options.json is not None:
        values = card.model_dump(mode="json") | {"found": None if found is None else str(found)}
        write_json(options.json, values)
