"""The commands: arguments in, exit status out. Everything heavy is imported by the command run."""

import argparse
import sys
from collections.abc import Sequence

from pc_crvae.cli import (
    compare,
    curves,
    data,
    embed,
    evaluate,
    generation,
    interpolate,
    probe,
    report,
    robustness,
    search,
    study,
    train,
)
from pc_crvae.errors import UserError
from pc_crvae.version import __version__

COMMANDS = {
    "data": data,
    "train": train,
    "probe": probe,
    "compare": compare,
    "robustness": robustness,
    "generation": generation,
    "evaluate": evaluate,
    "interpolate": interpolate,
    "embed": embed,
    "search": search,
    "curves": curves,
    "study": study,
    "report": report,
}


def main(arguments: Sequence[str] | None = None, *, command: str | None = None) -> int:
    """Run a command and return the exit status.

    Args:
        arguments: the command line, ``sys.argv[1:]`` by default.
        command: the command to run, for a script of its own; by default the first argument.

    Returns:
        0; 2 for a user's mistake, told in one sentence; 128 + N when signal N stopped it.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    prog = None
    if command is None:
        command = str(_parser_of_all().parse_args(given[:1]).command)
        prog, given = f"pc-crvae {command}", given[1:]
    parser = argparse.ArgumentParser(
        prog=prog,
        description=COMMANDS[command].DESCRIPTION,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    COMMANDS[command].add_arguments(parser)
    options = parser.parse_intermixed_args(given)
    try:
        COMMANDS[command].run(options)
    except UserError as error:
        return _refuse(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _refuse(f"{place}{error.strerror or error}")
    except KeyboardInterrupt as interrupt:
        print(str(interrupt) or "interrupted", file=sys.stderr)
        return 130
    return 0


def _refuse(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 2


def _parser_of_all() -> argparse.ArgumentParser:
    described = "\n".join(f"  {name:14}{module.DESCRIPTION}" for name, module in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="pc-crvae",
        usage="pc-crvae COMMAND ...",
        description="Learn representations of 3D shapes without labels, and look at them.",
        epilog=f"commands (each with --help of its own):\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pc-crvae {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    return parser
