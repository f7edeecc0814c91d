"""``report``: a run on one page, to look at or to send."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.endings import tell_files
from pc_crvae.cli.options import add_count, add_model_and_data, add_out, add_seed
from pc_crvae.cli.saved import open_saved, reports_of
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
    add_model_and_data(parser)
    add_out(parser, "the page to write", "report.html in --ckpt's folder", "FILE")
    items = f"test items on the map of embeddings, at most {_MOST_ITEMS:,}, or as many as there are"
    add_count(parser, "--items", items, default=_ITEMS)
    add_seed(parser)


def run(options: argparse.Namespace) -> None:
    """Write the page."""
    if options.items > _MOST_ITEMS:
        raise UserError(f"--items must be at most {_MOST_ITEMS:,}, not {options.items:,}")
    path: Path = options.out or reports_of(options.ckpt) / "report.html"
    if path.suffix not in (".html", ".htm"):
        raise UserError(f"--out {path} must end in .html")
    saved = open_saved(options)
    require_writable(path)
    named = options.data is not None or options.data_root is not None
    split = _split(saved, named=named)

    from pc_crvae.evaluation.probe.report import ProbeReport
    from pc_crvae.evaluation.probe.words import in_words
    from pc_crvae.report.run import write_run_report
    from pc_crvae.report.stored import Subject, read_stored

    subject = Subject(reports_of(options.ckpt), saved.folder, options.which, options.ckpt)
    problems = write_run_report(
        saved.model, subject, split, path, count=options.items, seed=options.seed
    )
    for problem in problems:
        print(f"note: {problem}")
    with suppress(UserError):  # damage, which is among the problems
        probe = read_stored(subject, "probe.json", ProbeReport)
        if probe is not None and probe.is_current:
            print(in_words(probe.report))
    tell_files({"page": (path, "open this first: one file, which needs no network, to send")})


def _split(saved: "SavedModel", *, named: bool) -> "ItemSet | UserError":
    """The test split; or why it cannot be had, where nobody named the data."""
    try:
        return saved.split("test")
    except UserError as error:
        if named:
            raise
        return error
