"""``data list``: every data set, and where it lies on this machine."""

import argparse
import shutil
import textwrap
from collections.abc import Sequence

from pc_crvae.cli.data.sets import found_root, where_without_files
from pc_crvae.cli.options import add_json
from pc_crvae.utils.files import require_writable, write_json

DESCRIPTION = "List every data set, and where it lies on this machine."

_PIPE_WIDTH = 140
_LEAST_ROOM = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_json(parser, "what is printed", "nowhere")


def run(options: argparse.Namespace) -> None:
    """Print the table, and write it."""
    from pc_crvae.data.cards import card_names, load_card

    require_writable(options.json)
    lines = [("name", "holds", "on this machine", "", "licence")]
    rows = []
    for name in card_names():
        card = load_card(name)
        found = found_root(card)
        where = str(found) if found else where_without_files(card)
        gated = "gated" if card.gated else ""
        lines.append((name, card.modality, where, gated, card.licence))
        about = card.model_dump(include={"name", "title", "modality", "gated", "licence"})
        rows.append(about | {"found": None if found is None else str(found)})
    _print_table(lines)
    if options.json is not None:
        write_json(options.json, rows)


def _print_table(lines: Sequence[Sequence[str]]) -> None:
    """Print columns; the last is cut where the terminal ends."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    room = shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns - sum(widths) - 2 * len(widths)
    for line in lines:
        cells = [f"{cell:{width}}" for cell, width in zip(line, widths, strict=False)]
        last = textwrap.shorten(line[-1], max(room, _LEAST_ROOM), placeholder=" ...")
        print("  ".join([*cells, last]).rstrip())
