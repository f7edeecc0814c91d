"""What several actions of ``data`` ask of a set: its splits, where it lies, and reading it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pc_crvae.data import CloudSet, ImageSet
    from pc_crvae.data.cards import Card, Split


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
