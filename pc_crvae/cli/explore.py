"""``explore``: a folder of shapes on one page, with its groups and duplicates."""

import argparse
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.counting import counting
from pc_crvae.cli.endings import tell_files
from pc_crvae.cli.options import add_model, add_out, add_points, add_up
from pc_crvae.cli.saved import open_saved, tell
from pc_crvae.cli.shapes import refuse
from pc_crvae.errors import UserError
from pc_crvae.utils.invocation import called
from pc_crvae.utils.resources import DEFAULT_MODEL

if TYPE_CHECKING:
    from pc_crvae.collection.explore import Explored
    from pc_crvae.embedding.index import Embeddings
    from pc_crvae.runs.saved import SavedModel

DESCRIPTION = "Show a folder of shapes on one page, with its groups, duplicates and outliers."

_MOST_TOLD = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    places = (
        "folders of mesh and cloud files (any depth; hidden ones are left out), or files; or one "
        "index that embed wrote, with its vectors"
    )
    parser.add_argument("places", nargs="+", type=Path, metavar="PATH", help=places)
    folder = "folder of the page, explore.html, and of the tables beside it"
    add_out(parser, folder, "explore/NAME, by the name of the first PATH")
    add_model(parser, default=DEFAULT_MODEL)
    add_points(parser)
    add_up(parser, "the files", "what the format or the file says, as glTF does, or z")
    serve = "then serve the page until Ctrl-C; drop a file on it to look it up among the shapes"
    parser.add_argument("--serve", action="store_true", help=serve)
    parser.add_argument(
        "--host",
        help="with --serve: the name or address to listen on; others than those of this machine "
        "alone let other machines in (default: 127.0.0.1)",
    )
    port = "with --serve: the port to listen on (default: any free one)"
    parser.add_argument("--port", type=int, help=port)


def run(options: argparse.Namespace) -> None:
    """Explore, unless nothing has changed since the last time, and serve the page if asked to."""
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
        explored = explore(options.places, out, open_model, **shapes, progress=counting, tell=tell)
        _tell(explored, options.places)
        embeddings = explored.collection.embeddings
    else:
        embeddings, summary = before
        print(summary)
        tell_files({"page": (out / PAGE, "as it was, since nothing has changed")})
    if options.serve:
        _serve(options, out / PAGE, embeddings, open_model())


def _serve(
    options: argparse.Namespace, page: Path, embeddings: "Embeddings", saved: "SavedModel"
) -> None:
    from pc_crvae.collection.serving import LOOPBACK, serving
    from pc_crvae.utils.interruption import listen_for_interruption

    host, port = options.host or LOOPBACK, options.port or 0
    # It listens before it tells the address, as who reads that may end it at once.
    with (
        listen_for_interruption() as asked,
        serving(page, embeddings, saved, host=host, port=port) as address,
    ):
        print(f"served, until Ctrl-C, at {address}", flush=True)
        asked.wait()
    print("ended")


def _tell(explored: "Explored", places: "list[Path]") -> None:
    from pc_crvae.collection.explore import DUPLICATES, REPORT, SHAPES
    from pc_crvae.collection.page import notes_of, sentence, summary_of
    from pc_crvae.data.formats.other_kinds import tell_passed_over

    collection, analysis, out = explored.collection, explored.analysis, explored.out
    for reason in collection.refused:
        refuse(reason)
    for line in tell_passed_over(collection.passed_over):
        tell(line)
    print(summary_of(collection, analysis))
    for finding in analysis.findings[:_MOST_TOLD]:
        print(f"  {sentence(collection, finding)}")
    if len(analysis.findings) > _MOST_TOLD:
        print(f"  and {len(analysis.findings) - _MOST_TOLD:,} more: {out / DUPLICATES}")
    for note in notes_of(collection, analysis):
        print(f"note: {note}")
    tell_files(
        {
            "page": (explored.page, "open this first: a map of all shapes, the nearest of each"),
            "shapes": (out / SHAPES, "one line per shape: its sizes, its group, how unusual it is"),
            "duplicates": (out / DUPLICATES, "one line per pair: what is the same, and how"),
            "report": (out / REPORT, "the pairs with pictures, to send"),
        }
    )
    line = called("explore", *places, "--out", out, "--serve")
    print(f"next, to look up a shape that is not among them: {line}, and drop its file on the page")
