"""The commands: arguments in, exit status out. Everything heavy is imported by the command run."""

import argparse
import difflib
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from pc_crvae.errors import UserError, printable
from pc_crvae.utils.interruption import no_interrupt_within_imports
from pc_crvae.utils.threads import prepare_threads
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
"""The modules beside this one with a ``DESCRIPTION``, ``add_arguments`` and ``run``.

A package has ``ACTIONS`` in place of the latter two, which are such modules within it.
"""

_FRONT = ("pc-crvae", "Learn representations of 3D shapes without labels, and look at them.")

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
        with no_interrupt_within_imports():
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


def module_of(*words: str) -> ModuleType:
    """Import a command, or an action of one: ``data``, ``list``."""
    return import_module(".".join([__name__, *words]))


def _run(given: list[str], command: str | None) -> None:
    words = [] if command is None else [command]
    if command is None:
        words.append(_chosen(given, COMMANDS, *_FRONT))
    module = module_of(*words)
    actions: tuple[str, ...] | None = vars(module).get("ACTIONS")
    if actions is not None:
        prog = " ".join(_prog(command, words))
        words.append(_chosen(given, actions, prog, module.DESCRIPTION, *words))
        module = module_of(*words)
    parser = _Parser(
        prog=" ".join(_prog(command, words)),
        description=module.DESCRIPTION,
        formatter_class=_HelpFormatter,
    )
    module.add_arguments(parser)
    module.run(parser.parse_intermixed_args(given))


def _prog(script: str | None, words: Sequence[str]) -> list[str]:
    """What the user called: the program and the words after it."""
    return ["pc-crvae", *words] if script is None else [Path(sys.argv[0]).name, *words[1:]]


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


def _chosen(
    given: list[str], names: Sequence[str], prog: str, description: str, *within: str
) -> str:
    """Take the word off the command line that names a command, or an action of one.

    Where there is none, print the help or the version, where either is asked for, or what is wrong.
    """
    if given and given[0] in names:
        return given.pop(0)
    noun = "action" if within else "command"
    described = "\n".join(f"  {name:14}{module_of(*within, name).DESCRIPTION}" for name in names)
    parser = _Parser(
        prog=prog,
        usage=f"{prog} {noun.upper()} ...",
        description=description,
        epilog=f"{noun}s (each with --help of its own):\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if not within:
        parser.add_argument("--version", action="version", version=f"{prog} {__version__}")
    parser.parse_known_args(given[:1])
    if not given:
        parser.error(f"name one of the {noun}s {', '.join(names)}")
    near = difflib.get_close_matches(given[0], names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"they are {', '.join(names)}"
    parser.error(f"there is no {noun} {given[0]}: {hint}")


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """One that tells the default of an option, where there is one that its help does not tell."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        has_none = action.default is None or action.nargs == 0
        return action.help if has_none else super()._get_help_string(action)


class _Parser(argparse.ArgumentParser):
    """One that answers a mistake in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(_refuse(f"{message} ({self.prog} --help explains)"))


def _refuse(sentence: str) -> int:
    print(f"error: {printable(sentence)}", file=sys.stderr)
    return 2
