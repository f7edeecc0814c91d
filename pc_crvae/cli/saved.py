"""What the commands that start from a saved model share: its options, and reading it by them."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.resources import shipped_model
from pc_crvae.utils.up_axes import HELP, checked_up

if TYPE_CHECKING:
    from pc_crvae.evaluation.tables import Table
    from pc_crvae.runs.saved import SavedModel


def add_checkpoint_arguments(
    parser: argparse.ArgumentParser, *, required: bool = True, default: str | None = None
) -> None:
    """Declare the options that say which model, by default the one named, and where it runs."""
    without = "" if required else " (default: none)"
    if default is not None:
        without = f" (default: {default}, which comes with the package)"
    parser.add_argument(
        "--ckpt",
        type=Path,
        required=required and default is None,
        default=None if default is None else Path(default),
        metavar="RUN",
        help="a run's folder, a checkpoint's, a saved export's, or the name of a model that comes "
        f"with the package, what is made of which goes to reports/NAME{without}",
    )
    parser.add_argument(
        "--which",
        choices=("last", "best"),
        default="last",
        help="of a run: the last state, or the best by the validation objective",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu"), default="auto", help="auto: a GPU where there is one"
    )


def add_model_arguments(
    parser: argparse.ArgumentParser, *, required: bool = True, of_clouds: bool = True
) -> None:
    """Declare the options that say which model and which data; images have no up axis."""
    add_checkpoint_arguments(parser, required=required)
    parser.add_argument(
        "--data",
        metavar="CARD",
        help="name or path of a data set's card (default: what the model was trained on)",
    )
    parser.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="folder of the data (default: where the run found it)",
    )
    if of_clouds:
        parser.add_argument(
            "--up",
            type=up_axes,
            metavar="AXIS",
            help=f"the data's up axis, {HELP} (default: the training run's, or the card's for "
            "other data)",
        )


def up_axes(text: str) -> str:
    """Return what an option says of the axis that points up, checked."""
    try:
        return checked_up(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_report_argument(parser: argparse.ArgumentParser, name: str, beside: str) -> None:
    """Declare where the report goes, by default as ``name`` into the folder of the model."""
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help=f"where the report goes, {beside} (default: {name} in --ckpt's folder)",
    )


def add_table_argument(parser: argparse.ArgumentParser) -> None:
    """Declare where a table for a paper goes."""
    parser.add_argument(
        "--table",
        type=Path,
        metavar="FILE",
        help="a table for a paper too, with the protocol in words: Markdown, CSV or LaTeX, by the "
        "suffix .md, .csv or .tex (default: none)",
    )


def add_figures_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the format of plots."""
    parser.add_argument(
        "--figures",
        choices=("png", "pdf", "svg"),
        default="png",
        help="the format of plots (default: png)",
    )


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


def add_untrained_argument(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare what the untrained encoders beside the model know; ``default`` is in words."""
    parser.add_argument(
        "--untrained",
        choices=("calibrated", "initial"),
        help="batch-norm of the untrained encoders: calibrated by a pass over the training items, "
        f"without labels, or as initialised (default: {default})",
    )


def open_saved(options: argparse.Namespace) -> "SavedModel":
    """Read the model that the options name, to be used on the data that they name."""
    from pc_crvae.runs.saved import SavedModel

    saved = SavedModel.open(
        options.ckpt,
        options.which,
        device=options.device,
        card=getattr(options, "data", None),
        root=getattr(options, "data_root", None),
        up=getattr(options, "up", None),
    )
    if saved.note:
        print(saved.note, file=sys.stderr)
    return saved


def reports_of(ckpt: Path) -> Path:
    """Where what is made of a model goes by default: the folder that ``--ckpt`` names.

    Of a model that comes with the package it is one in the working directory.
    """
    return ckpt if shipped_model(ckpt) is None else Path("reports") / ckpt
