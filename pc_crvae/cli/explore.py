"""``explore``: a folder of shapes on one page, with its groups and duplicates."""

import argparse
import sys
from functools import cache
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from pc_crvae.cli.saved import add_checkpoint_arguments, open_saved, up_axes
from pc_crvae.errors import UserError, printable
from pc_crvae.utils.resources import DEFAULT_MODEL
from pc_crvae.utils.up_axes import HELP

if TYPE_CHECKING:
    from pc_crvae.collection.explore import Explored
    from pc_crvae.embedding.index import Embeddings
    from pc_crvae.runs.saved import SavedModel

DESCRIPTION = "Show a folder of shapes on one page, with its groups, duplicates and outliers."

_MOST_TOLD = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "places",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="folders of mesh and cloud files (any depth; hidden ones are left out), or files; or "
        "one index that tools/embed.py wrote, whose vectors are taken",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the page, explore.html, and of the tables beside it (default: "
        "explore/NAME, by the name of the first PATH)",
    )
    add_checkpoint_arguments(parser, default=DEFAULT_MODEL)
    parser.add_argument(
        "--points",
        type=int,
        help="points drawn of each shape for the model (default: as many as it was made for)",
    )
    parser.add_argument(
        "--up",
        type=up_axes,
        metavar="AXIS",
        help=f"the axis that points up in the files: {HELP} (default: y for glTF, which fixes it; "
        "z for others)",
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="then serve the page until Ctrl-C: a file dropped on it is looked up among the shapes",
    )
    parser.add_argument(
        "--host",
        help="of --serve: the name or address to listen on; others than those of this machine "
        "alone let other machines in (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port", type=int, help="of --serve: the port to listen on (default: any that is free)"
    )


def run(options: argparse.Namespace) -> None:
    """Explore, unless nothing has changed since the last time, and serve the page where told."""
    from pc_crvae.cli.counting import counting
    from pc_crvae.collection.explore import PAGE, default_out, explore, explored_before
    from pc_crvae.embedding.index import check_points

    check_points(options.points, "--points")
    for name in ("host", "port"):
        if getattr(options, name) is not None and not options.serve:
            raise UserError(f"--{name} goes with --serve")
    out: Path = options.out or default_out(options.places)
    open_model = cache(lambda: open_saved(options))
    if options.serve:  # which needs it, also of an index
        open_model()
    shapes = {"points": options.points, "up": options.up}
    before = explored_before(options.places, out, open_model, **shapes)
    if before is None:
        explored = explore(options.places, out, open_model, **shapes, progress=counting)
        _tell(explored)
        embeddings = explored.collection.embeddings
    else:
        embeddings, summary = before
        print(summary)
        print(f"page: {quote(str(out / PAGE))}, as it was, since nothing has changed")
    if options.serve:
        _serve(options, out / PAGE, embeddings, open_model())


def _serve(
    options: argparse.Namespace, page: Path, embeddings: "Embeddings", saved: "SavedModel"
) -> None:
    from pc_crvae.collection.serving import LOOPBACK, serving, wait_for_interruption

    host, port = options.host or LOOPBACK, options.port or 0
    with serving(page, embeddings, saved, host=host, port=port) as address:
        print(f"served, until Ctrl-C, at {address}", flush=True)
        wait_for_interruption()
    print("ended")


def _tell(explored: "Explored") -> None:
    from pc_crvae.collection.explore import DUPLICATES, REPORT, SHAPES
    from pc_crvae.collection.page import notes_of, sentence, summary_of
    from pc_crvae.data.formats.other_kinds import tell_passed_over

    collection, analysis, out = explored.collection, explored.analysis, explored.out
    for reason in collection.refused:
        print(f"refused: {printable(reason)}", file=sys.stderr)
    for line in tell_passed_over(collection.passed_over):
        print(line, file=sys.stderr)
    print(summary_of(collection, analysis))
    for finding in analysis.findings[:_MOST_TOLD]:
        print(f"  {sentence(collection, finding)}")
    if len(analysis.findings) > _MOST_TOLD:
        print(f"  and {len(analysis.findings) - _MOST_TOLD:,} more: {out / DUPLICATES}")
    for note in notes_of(collection, analysis):
        print(f"note: {note}")
    print(f"tables: {out / SHAPES} and {out / DUPLICATES}; report to send: {out / REPORT}")
    print(f"page: {quote(str(explored.page))}")
