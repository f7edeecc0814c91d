"""``train``: train a model as a configuration says."""

import argparse
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from pc_crvae.config import find_config, load_config
from pc_crvae.errors import UserError
from pc_crvae.utils.processes import is_main_process

if TYPE_CHECKING:
    from pc_crvae.data import CloudSet, ImageSet

DESCRIPTION = "Train a model as a configuration says."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/quickstart.yaml"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="section.key=value",
        help="values to use instead of the file's, such as training.epochs=10",
    )
    parser.add_argument(
        "--out", type=Path, help="folder of the run (default: runs/<name of the config>)"
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        help="of each process on a CPU, training.threads; recorded in the run, as it changes "
        "rounding (default: those of the run resumed, or as many as the machine lets)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    parser.add_argument("--overwrite", action="store_true", help="replace the run in the folder")


def run(options: argparse.Namespace) -> None:
    """Train."""
    overrides = list(options.overrides)
    if options.threads is not None:
        overrides.append(f"training.threads={options.threads}")
    config = load_config(find_config(options.config), overrides)
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
        print(f"trained: {folder}{_what_next(folder, trained.train_set)}")


def _what_next(folder: Path, train_set: "CloudSet | ImageSet") -> str:
    """What can be done with a run: images have a likelihood, a probe needs two classes."""
    if train_set.holds == "images":
        tool = "evaluate"
    elif train_set.labels is not None and len(set(train_set.labels.tolist())) > 1:
        tool = "probe"
    else:
        tool = "embed"
    return f"; next: python tools/{tool}.py --ckpt {quote(str(folder))}"
