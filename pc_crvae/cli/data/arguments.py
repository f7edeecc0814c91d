"""Arguments that several actions of ``data`` take, and what they mean."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pc_crvae.cli.saved import up_axes
from pc_crvae.utils.up_axes import HELP

if TYPE_CHECKING:
    from pc_crvae.data import CloudSet, ImageSet
    from pc_crvae.data.cards import Card, Split


def add_name(parser: argparse.ArgumentParser) -> None:
    """Declare the data set."""
    parser.add_argument(
        "name",
        metavar="NAME",
        help="the name of a data set, which data list shows, or the path of a card of your own",
    )


def add_root(parser: argparse.ArgumentParser) -> None:
    """Declare the folder of the data."""
    parser.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="the folder of the data (default: where data list finds it)",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare where the data is, and which axis points up in it."""
    add_root(parser)
    parser.add_argument(
        "--up",
        type=up_axes,
        metavar="AXIS",
        help=f"the axis that points up in the files: {HELP} (default: their format's, or else the "
        "card's)",
    )


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Declare what is read of the data, and how."""
    add_place(parser)
    parser.add_argument(
        "--split",
        choices=("train", "test"),
        help="the only split that is read (default: every one)",
    )
    parser.add_argument(
        "--allow-refused", action="store_true", help="do without the files that cannot be used"
    )


def add_drop_nan(parser: argparse.ArgumentParser) -> None:
    """Declare what is done with points that are no numbers."""
    parser.add_argument(
        "--drop-nan",
        action="store_true",
        help="leave out points of clouds that are NaN or infinite",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare the file for what is printed."""
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="a file for what is printed, as JSON (default: none is written)",
    )


def write_json(path: Path, report: Any) -> None:
    """Write a report, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    from pc_crvae.utils.files import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")


def splits_of(options: argparse.Namespace) -> "list[Split]":
    """Return the splits that are asked for.

    Raises:
        UserError: there is no such data set or split.
    """
    from pc_crvae.data.cards import load_card

    card = load_card(options.name)
    if options.split is None:
        return list(card.splits)
    card.require_split(options.split)
    return [options.split]


def load_split(
    options: argparse.Namespace, split: "Split", *, normals: bool = False
) -> "CloudSet | ImageSet":
    """Load a split as the options say.

    Raises:
        UserError: it is not there, or cannot be read.
    """
    from pc_crvae.data import load

    return load(
        options.name,
        split,
        root=options.data_root,
        up=options.up,
        allow_refused=options.allow_refused,
        drop_nan=options.drop_nan,
        normals=normals,
    )


def found_root(card: "Card") -> Path | None:
    """Return the folder that the set would be read from, None where there is none."""
    from pc_crvae.data.roots import default_roots

    return next((root for root in default_roots(card) if root.is_dir()), None)


def where_without_files(card: "Card") -> str:
    """Say where a set comes from that has no folder here."""
    from pc_crvae.data.layouts import LAYOUTS

    origin = LAYOUTS[card.layout].origin
    if not card.reads_files:
        return "generated" if origin == "generated" else "comes with a library"
    return "not here" if card.folder else "yours: --data-root"
