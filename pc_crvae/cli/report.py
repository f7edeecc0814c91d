"""``report``: a run on one page, to look at or to send."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.saved import add_model_arguments, open_saved, reports_of
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable

if TYPE_CHECKING:
    from pc_crvae.data import ItemSet
    from pc_crvae.runs.saved import SavedModel

DESCRIPTION = "Write a run's curves, pictures, embeddings and measurements as one HTML page."

_ITEMS = 400
_MOST_ITEMS = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = (
        "The page is one file, which needs no network. It shows what other commands left in the "
        "run (probe.json, robustness.json, generation.json, evaluation.json) and says which "
        "command makes what is missing; what is older than the weights is marked as stale. Where "
        "the data is not found, or a file of the run is damaged, the page says so, and so does "
        "the command, and the rest is written; data that is named by --data or --data-root must "
        "be there."
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the page to write (default: report.html in --ckpt's folder)",
    )
    parser.add_argument(
        "--items",
        type=int,
        default=_ITEMS,
        help=f"test items on the map of embeddings, at most {_MOST_ITEMS:,}, or as many as there "
        "are",
    )
    parser.add_argument("--seed", type=int, default=0, help="fixes what is drawn")


def run(options: argparse.Namespace) -> None:
    """Write the page."""
    if not 1 <= options.items <= _MOST_ITEMS:
        raise UserError(f"--items must be from 1 to {_MOST_ITEMS:,}, not {options.items:,}")
    path: Path = options.out or reports_of(options.ckpt) / "report.html"
    if path.suffix not in (".html", ".htm"):
        raise UserError(f"--out {path} must end in .html")
    saved = open_saved(options)
    require_writable(path)
    named = options.data is not None or options.data_root is not None
    split = _split(saved, named=named)

    from pc_crvae.report.run import write_run_report
    from pc_crvae.report.stored import Subject

    problems = write_run_report(
        saved.model,
        Subject(reports_of(options.ckpt), saved.folder, options.which, options.ckpt),
        split,
        path,
        count=options.items,
        seed=options.seed,
    )
    for problem in problems:
        print(f"note: {problem}")
    print(f"page: {path}")


def _split(saved: "SavedModel", *, named: bool) -> "ItemSet | UserError":
    """The test split; or why it cannot be had, where nobody named the data."""
    try:
        return saved.split("test")
    except UserError as error:
        if named:
            raise
        return error
