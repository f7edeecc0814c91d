"""``data prepare``: a data set read once, so that it loads at once."""

import argparse

from pc_crvae.cli.data.sets import load_split, splits_of
from pc_crvae.cli.options import add_reading, add_shared
from pc_crvae.errors import UserError

DESCRIPTION = "Read a data set once, so that it loads at once."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_reading(parser)
    add_shared(parser, "--drop-nan")
    parser.add_argument("--normals", action="store_true")


def run(options: argparse.Namespace) -> None:
    """Load every split that is asked for."""
    from pc_crvae.data.cache.preparation import RejectedFilesError

    rejected = []
    for split in splits_of(options):
        try:
            items = load_split(options, split, normals=options.normals)
        except RejectedFilesError as error:
            # Told at the end, so that the other split is prepared too.
            rejected.append(error)
            continue
        shape = " x ".join(f"{length:,}" for length in items.array.shape[1:])
        normals = ", with normals" if options.normals else ""
        print(f"{split}: {len(items):,} items of {shape}{normals}")
    if rejected:
        option = " (--allow-refused)" if all(one.some_are_left for one in rejected) else ""
        raise UserError("; ".join(map(str, rejected)) + option)
