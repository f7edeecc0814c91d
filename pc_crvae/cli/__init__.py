"""The commands: arguments in, exit status out. Everything heavy is imported by the command run."""

import argparse
import sys
from collections.abc import Sequence

from pc_crvae import __version__
from pc_crvae.cli import interpolate, probe, train
from pc_crvae.errors import UserError

COMMANDS = {"train": train, "probe": probe, "interpolate": interpolate}


def main(arguments: Sequence[str] | None = None, *, command: str | None = None) -> int:
    """Run a command and return the exit status.

    Args:
        arguments: the command line, ``sys.argv[1:]`` by default.
        command: the command to run, for a script of its own; by default the first argument.

    Returns:
        0; 2 for a user's mistake, told in one sentence; 128 + N when signal N stopped it.
    """
    if command:
        parser = argparse.ArgumentParser(
            description=COMMANDS[command].DESCRIPTION,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        COMMANDS[command].add_arguments(parser)
    else:
        parser = _parser_of_all()
    options = parser.parse_args(arguments)
    try:
        COMMANDS[command or options.command].run(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"error: {place}{error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _parser_of_all() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pc-crvae",
        description="Learn representations of 3D shapes without labels, and look at them.",
    )
    parser.add_argument("--version", action="version", version=f"pc-crvae {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        module.add_arguments(
            commands.add_parser(
                name,
                help=module.DESCRIPTION,
                description=module.DESCRIPTION,
                formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            )
        )
    return parser
