"""Reading what the options name, writing what they ask for, and how commands end."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.errors import printable
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.invocation import called
from pc_crvae.utils.resources import shipped_model

if TYPE_CHECKING:
    from pc_crvae.evaluation.tables import Table
    from pc_crvae.runs.saved import SavedModel


def open_saved(options: argparse.Namespace) -> "SavedModel":
    """Read the model that the options name, to be used on the data that they name."""
    from pc_crvae.runs.saved import SavedModel

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


def tell_files(files: Mapping[str, tuple[Path, str]]) -> None:
    """Print where each file is, and what: ``report: runs/a/probe.json (every figure above)``."""
    for name, (path, what) in files.items():
        print(f"{name}: {printable(str(path))} ({what})")


def embed_line(ckpt: Path, card: str | None, root: Path | None = None) -> str:
    """Return the line that embeds a data set, or one's own shapes where there is none.

    Args:
        ckpt: the model.
        card: name or path of the set's card.
        root: the folder of the data, where it is not the one that the run found it in.
    """
    from pc_crvae.data.cards import load_card

    out = ("--out", "embeddings.npz")
    if card is None:
        return called("embed", "--ckpt", ckpt, "MY_MESHES", *out)
    place = () if root is None else ("--data-root", root)
    split = "test" if "test" in load_card(card).splits else "train"
    return called("embed", "--ckpt", ckpt, "--data", card, *place, "--split", split, *out)
