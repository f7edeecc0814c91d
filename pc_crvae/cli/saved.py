"""Reading what the options name, and writing what they ask for."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.errors import printable
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.memory import keep_freed_memory
from pc_crvae.utils.resources import shipped_model

if TYPE_CHECKING:
    from pc_crvae.evaluation.tables import Table
    from pc_crvae.runs.saved import SavedModel


def open_saved(options: argparse.Namespace) -> "SavedModel":
    """Read the model that the options name, to be used on the data that they name."""
    from pc_crvae.runs.saved import SavedModel

    keep_freed_memory()  # or clearing pages takes up to a fifth of the time that encoding takes
    named = vars(options)
    saved = SavedModel.open(
        options.ckpt,
        options.which,
        device=options.device,
        card=named.get("data"),
        root=named.get("data_root"),
        up=named.get("up"),
    )
    if saved.note:
        tell(saved.note)
    return saved


def reports_of(ckpt: Path) -> Path:
    """Where what is made of a model goes by default: the folder that ``--ckpt`` names.

    Of a model that comes with the package it is one in the working directory.
    """
    return ckpt if shipped_model(ckpt) is None else Path("reports") / ckpt


def report_path(options: argparse.Namespace, name: str) -> Path:
    """Where a report goes: to ``--json``, or as ``name`` beside the model.

    Of the validation split it has another name than that of the test split, which other commands
    read.
    """
    of_test = vars(options).get("split", "test") == "test"
    beside = f"{name}.json" if of_test else f"{name}-validation.json"
    path: Path = options.json or reports_of(options.ckpt) / beside
    return path


def tell(text: str) -> None:
    """Say something beside the results, on standard error, without what moves a cursor."""
    print(printable(text), file=sys.stderr)


def check_table(options: argparse.Namespace) -> None:
    """Refuse, before any work, a table that could not be written.

    Raises:
        UserError: its suffix names no format, or its place cannot be written.
    """
    if options.table is not None:
        from pc_crvae.evaluation.tables import check_table_path

        check_table_path(options.table)
        require_writable(options.table)


def deliver_table(options: argparse.Namespace, make: "Callable[[], Table]") -> None:
    """Write the table that was asked for, if one was, and say where it is."""
    if options.table is not None:
        make().write(options.table)
        print(f"table: {options.table}")
