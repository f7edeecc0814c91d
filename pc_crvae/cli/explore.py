"""``explore``: a folder of shapes on one page, with its groups and duplicates."""

import argparse
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from pc_crvae.cli.saved import add_checkpoint_arguments, open_saved, up_axes
from pc_crvae.errors import printable
from pc_crvae.utils.resources import DEFAULT_MODEL
from pc_crvae.utils.up_axes import HELP

if TYPE_CHECKING:
    from pc_crvae.collection.explore import Explored
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


def run(options: argparse.Namespace) -> None:
    """Explore."""
    from pc_crvae.cli.counting import counting
    from pc_crvae.collection.explore import default_out, explore
    from pc_crvae.embedding.index import check_points

    check_points(options.points, "--points")

    def open_model() -> "SavedModel":
        return open_saved(options)

    out = options.out or default_out(options.places)
    explored = explore(
        options.places,
        out,
        open_model,
        points=options.points,
        up=options.up,
        progress=counting,
    )
    _tell(explored)


def _tell(explored: "Explored") -> None:
    from pc_crvae.collection.explore import DUPLICATES, REPORT, SHAPES
    from pc_crvae.collection.page import notes_of, sentence, subtitle_of
    from pc_crvae.data.formats.other_kinds import tell_passed_over

    collection, analysis, out = explored.collection, explored.analysis, explored.out
    for reason in collection.refused:
        print(f"refused: {printable(reason)}", file=sys.stderr)
    for line in tell_passed_over(collection.passed_over):
        print(line, file=sys.stderr)
    print(subtitle_of(collection, analysis))
    for finding in analysis.findings[:_MOST_TOLD]:
        print(f"  {sentence(collection, finding)}")
    if len(analysis.findings) > _MOST_TOLD:
        print(f"  and {len(analysis.findings) - _MOST_TOLD:,} more: {out / DUPLICATES}")
    for note in notes_of(collection, analysis):
        print(f"note: {note}")
    print(f"tables: {out / SHAPES} and {out / DUPLICATES}; report to send: {out / REPORT}")
    print(f"page: {quote(str(explored.page))}")
