"""``train``: train a model as a configuration says."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.endings import embed_line, tell_files
from pc_crvae.cli.options import add_data_root, add_out
from pc_crvae.errors import UserError
from pc_crvae.utils.invocation import called
from pc_crvae.utils.processes import is_main_process

if TYPE_CHECKING:
    from pc_crvae.config import Config
    from pc_crvae.data.items import ItemSet
    from pc_crvae.training.run import Trained

DESCRIPTION = "Train a model as a configuration says."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("config", type=Path, metavar="CONFIG")
    parser.add_argument("overrides", nargs="*", default=[], metavar="section.key=value")
    add_out(parser, "folder of the run", "runs/<name of the config>")
    add_data_root(parser, "the configuration's data.root, or the folder that data list shows")
    parser.add_argument("--threads", metavar="N")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--overwrite", action="store_true")


def run(options: argparse.Namespace) -> None:
    """Train."""
    from pc_crvae.config import find_config, load_config

    overrides = list(options.overrides)
    if options.threads is not None:
        overrides.append(f"training.threads={options.threads}")
    config = load_config(find_config(options.config), overrides)
    if options.data_root is not None:
        config = _rooted(config, options.data_root)
    folder: Path = options.out or Path("runs") / options.config.stem

    from pc_crvae.runs.folder import RunExistsError
    from pc_crvae.training.run import run_training
    from pc_crvae.utils.interruption import Interrupted

    try:
        trained = run_training(config, folder, resume=options.resume, overwrite=options.overwrite)
    except RunExistsError as error:
        raise UserError(f"{error} (--resume, --overwrite, --out)") from None
    except Interrupted as interrupted:
        if is_main_process():
            how = "go on with the same command and --resume (in place of --overwrite)"
            print(f"{interrupted}: {how}", file=sys.stderr)
        sys.exit(128 + interrupted.signal_number)
    if is_main_process():
        _tell(folder, trained)


def _rooted(config: "Config", root: Path) -> "Config":
    """The same, with the folder of its data; of a mixture, of the one set in it that has files."""
    from pc_crvae.config import override_config, plain
    from pc_crvae.data.cards import load_card

    data = plain(config)["data"]
    if "mixture" not in data:
        return override_config(config, {"data.root": str(root)}, "--data-root")
    of_files = [one for one in data["mixture"] if load_card(one["name"]).reads_files]
    if len(of_files) != 1:
        raise UserError(
            f"--data-root is the folder of one data set, and {len(of_files)} of the mixture have "
            "files: give each its root, in data.mixture"
        )
    of_files[0]["root"] = str(root)
    return override_config(config, {"data.mixture": data["mixture"]}, "--data-root")


def _tell(folder: Path, trained: "Trained") -> None:
    """Say in words what happened, what lies where, and what to do next."""
    from pc_crvae.runs.record import read_record

    curves = read_record(folder).curves
    last = max(curves.values(), key=lambda curve: curve.epochs[-1])
    accuracies = curves.get(("validation", "probe_accuracy"))
    told = (
        f"trained: {folder}, {last.epochs[-1]:.4g} epochs of {len(trained.train_set):,} items in "
        f"{last.minutes[-1]:.1f} minutes"
    )
    if accuracies is not None:
        told += (
            f"; a linear classifier recognises {100 * accuracies.values[-1]:.0f} % of validation "
            "items by their codes"
        )
    print(told)
    files = {"model": (folder, "what --ckpt names; metrics.jsonl in it has every figure above")}
    pictures = sorted(trained.run.pictures.glob("epoch-*.png"))
    if pictures:
        what = "open this first: items, and what the model makes of them"
        files["reconstructions"] = pictures[-1], what
    tell_files(files)
    known = trained.train_set, trained.validation_set
    print(f"next, {_next(folder, trained.model.data.get('name'), known)}")


def _next(folder: Path, card: str | None, known: "tuple[ItemSet, ItemSet]") -> str:
    """What can be done with a run: images have a likelihood, a probe needs classes to tell.

    Args:
        folder: the run.
        card: the data set that it was trained on; None where there were several.
        known: what was trained on and what was held out, which a probe is fitted on.
    """
    import numpy as np

    from pc_crvae.evaluation.probe.protocol import load_protocol

    if known[0].holds == "images":
        line = called("evaluate", "--ckpt", folder)
        return f"how likely test images are under it, and what its codes hold: {line}"
    labels = [part.labels for part in known if part.labels is not None]
    counts = np.unique(np.concatenate([[], *labels]), return_counts=True)[1]
    if card is None or len(counts) < 2 or counts.min() < load_protocol("ours").folds:
        return f"vectors of shapes: {embed_line(folder, card)}"
    return f"how good its vectors are on test shapes: {called('probe', '--ckpt', folder)}"
