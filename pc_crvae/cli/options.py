"""The options that several commands take, each declared once: one name, one meaning."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pc_crvae.cli.parsing import at_least
from pc_crvae.errors import UserError
from pc_crvae.utils.up_axes import HELP, checked_up

_FORMS: Mapping[str, Mapping[str, Any]] = {
    "--allow-refused": {"action": "store_true"},
    "--average-over": {"metavar": "GROUP"},
    "--data-root": {"type": Path, "metavar": "DIR"},
    "--device": {"choices": ("auto", "cpu"), "default": "auto"},
    "--drop-nan": {"action": "store_true"},
    "--figures": {"choices": ("png", "pdf", "svg"), "default": "png"},
    "--json": {"type": Path, "metavar": "FILE"},
    "--table": {"type": Path, "metavar": "FILE"},
    "--which": {"choices": ("last", "best"), "default": "last"},
}
"""What options of several commands take, by their names."""


def add_shared(parser: argparse.ArgumentParser, *names: str, told: str | None = None) -> None:
    """Declare options that are the same for several commands.

    Args:
        parser: the command's.
        names: the options, as they are typed.
        told: their help, where ``help.toml`` does not have it.
    """
    for name in names:
        parser.add_argument(name, help=told, **_FORMS[name])


def add_model(
    parser: argparse.ArgumentParser, *, required: bool = True, default: str | None = None
) -> None:
    """Declare which model, by default the one named, and where it runs."""
    without = "" if required else " (default: none)"
    if default is not None:
        without = f" (default: {default}, which comes with the package)"
    parser.add_argument(
        "--ckpt",
        type=Path,
        required=required and default is None,
        default=None if default is None else Path(default),
        metavar="RUN",
        help="the folder of a run, a checkpoint or a saved export, or the NAME of a model that "
        f"comes with the package, whose results go to reports/NAME{without}",
    )
    add_shared(parser, "--which", "--device")


def add_model_and_data(
    parser: argparse.ArgumentParser, *, required: bool = True, of_clouds: bool = True
) -> None:
    """Declare which model, and the data that it is used on; images have no up axis."""
    add_model(parser, required=required)
    add_data(parser, "the data set to use the model on", "the set that it was trained on")
    add_data_root(parser, "the folder where the run found them")
    if of_clouds:
        add_up(parser, "the data", "the training run's, or the card's for other data")


def add_data(parser: argparse.ArgumentParser, what: str, default: str | None) -> None:
    """Declare the data set, which is required without a default."""
    told = "" if default is None else f" (default: {default})"
    text = f"name of {what}, or the path of its card{told}"
    parser.add_argument("--data", required=default is None, metavar="CARD", help=text)


def add_data_root(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare the folder of the data."""
    add_shared(parser, "--data-root", told=f"folder of the data (default: {default})")


def add_up(parser: argparse.ArgumentParser, of: str | None = None, default: str = "") -> None:
    """Declare the axis that points up in what is read."""
    told = None if of is None else f"the axis that points up in {of}: {HELP} (default: {default})"
    parser.add_argument("--up", type=_up_axes, metavar="AXIS", help=told)


def _up_axes(text: str) -> str:
    try:
        return checked_up(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_points(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Declare the points drawn of each shape of one's own."""
    told = f"points to draw from each shape{more} (default: as many as the model trained with)"
    parser.add_argument("--points", type=int, metavar="N", help=told)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Declare what an action of ``data`` reads of a set, and how."""
    add_place(parser)
    told = "read this split alone (default: every split)"
    parser.add_argument("--split", choices=("train", "test"), help=told)
    add_shared(parser, "--allow-refused")


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare which set an action of ``data`` is about, where it is, and what points up in it."""
    parser.add_argument("name", metavar="NAME")
    add_data_root(parser, "the folder that data list shows")
    add_up(parser, "the files", "their format's, or else the card's")


def add_json(parser: argparse.ArgumentParser, what: str | None = None, default: str = "") -> None:
    """Declare the file that numbers go to."""
    told = None if what is None else f"write {what} to this JSON file (default: {default})"
    add_shared(parser, "--json", told=told)


def add_report(parser: argparse.ArgumentParser, name: str, beside: str) -> None:
    """Declare where the report goes, by default as ``name`` into the folder of the model."""
    add_json(parser, f"the report, with {beside},", f"{name} in --ckpt's folder")


def add_out(
    parser: argparse.ArgumentParser, what: str, default: str | None, metavar: str = "DIR"
) -> None:
    """Declare the folder or file that is written, which is required without a default."""
    told = "" if default is None else f" (default: {default})"
    text = f"{what}{told}"
    parser.add_argument("--out", type=Path, metavar=metavar, required=default is None, help=text)


def add_untrained(parser: argparse.ArgumentParser, default: str) -> None:
    """Declare what the untrained encoders beside the model know; ``default`` is in words."""
    parser.add_argument(
        "--untrained",
        choices=("calibrated", "initial"),
        help="batch-norm of the untrained encoders: calibrated by a pass over the training items, "
        f"without labels, or as initialised (default: {default})",
    )


def add_held_out(parser: argparse.ArgumentParser) -> None:
    """Declare what of the data the model is measured on."""
    parser.add_argument("--split", choices=("test", "validation"), default="test")


def add_seed(parser: argparse.ArgumentParser, what: str = "all random draws") -> None:
    """Declare the seed of what is drawn."""
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=f"fixes {what}")


def add_count(
    parser: argparse.ArgumentParser,
    name: str,
    what: str | None = None,
    *,
    default: int | None = None,
    least: int = 1,
    metavar: str = "N",
) -> None:
    """Declare a number of things; one below the ``least`` is refused."""
    parser.add_argument(name, type=at_least(least), default=default, metavar=metavar, help=what)
