"""The commands: arguments in, exit status out. Everything heavy is imported by the command run."""

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from pc_crvae.cli.parsing import Parser, add_commands
from pc_crvae.errors import UserError, printable
from pc_crvae.utils.interruption import no_interrupt_within_imports
from pc_crvae.utils.invocation import called
from pc_crvae.utils.threads import prepare_threads
from pc_crvae.utils.waiting import sharing_cores
from pc_crvae.version import __version__

COMMANDS = (
    "data",
    "train",
    "descriptor",
    "probe",
    "compare",
    "robustness",
    "generation",
    "evaluate",
    "interpolate",
    "embed",
    "search",
    "explore",
    "curves",
    "study",
    "report",
)
"""The modules beside this one, each with a ``DESCRIPTION``, ``add_arguments`` and ``run``."""

_DESCRIPTION = "Learn representations of 3D shapes without labels, and look at them."

_SIGPIPE = 13  # POSIX; Windows has none


def main(arguments: Sequence[str] | None = None, *, command: str | None = None) -> int:
    """Run a command and return the exit status.

    Args:
        arguments: the command line, ``sys.argv[1:]`` by default.
        command: the command to run, for a script of its own; by default the first argument.

    Returns:
        0; 2 for a user's mistake, told in one sentence; 128 + N when signal N stopped it, or would
        have where a reader such as ``head`` has gone.
    """
    try:
        prepare_threads()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # names need not be in the encoding
        given = list(sys.argv[1:] if arguments is None else arguments)
        _require_text(given)
        with no_interrupt_within_imports(), sharing_cores():
            _run(given, command)
        sys.stdout.flush()
    except UserError as error:
        return _refuse(str(error))
    except BrokenPipeError:
        # What is left in the buffer has no reader either, and Python would say so at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + _SIGPIPE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _refuse(f"{place}{error.strerror or error}")
    except KeyboardInterrupt as interrupt:
        print(printable(str(interrupt)) or "interrupted", file=sys.stderr)
        return 130
    return 0


def module_of(command: str) -> ModuleType:
    """Import the module of a command."""
    return import_module(f"{__name__}.{command}")


def _run(given: list[str], command: str | None) -> None:
    if command is None:
        parser = Parser(prog="pc-crvae", description=_DESCRIPTION)
        parser.add_argument("--version", action="version", version=f"pc-crvae {__version__}")
        add_commands(parser, "command", {name: module_of(name) for name in COMMANDS})
    else:
        module = module_of(command)
        parser = Parser(command=command, prog=called(command), description=module.DESCRIPTION)
        module.add_arguments(parser)
        parser.set_defaults(command=module.run)
    options = parser.parse_args(given)
    options.command(options)


def _require_text(given: Sequence[str]) -> None:
    """Refuse what is no text before any work: reports, pages and indexes hold texts.

    Raises:
        UserError: an argument, the name of a file as a rule, is not valid UTF-8.
    """
    for argument in given:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UserError(f"{argument} is not valid UTF-8: give the file another name") from None


def _refuse(sentence: str) -> int:
    print(f"error: {printable(sentence)}", file=sys.stderr)
    return 2
