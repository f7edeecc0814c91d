"""The one parser of all commands: its help, and how it answers a mistake."""

import argparse
import difflib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NoReturn

from pc_crvae.errors import UserError
from pc_crvae.utils.texts import texts_beside

SHARED = "shared"
"""The table of ``help.toml`` for options of several commands."""


def help_texts() -> dict[str, dict[str, str]]:
    """Return the texts of ``help.toml``, by command and by the argument's name."""
    return texts_beside(__file__, "help.toml")


class HelpFormatter(argparse.HelpFormatter):
    """One that tells the default of an option, where there is one that its help does not tell."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        default, text = action.default, action.help or ""
        has_none = action.required or action.nargs == 0 or default in (None, [], argparse.SUPPRESS)
        if has_none or "(default: " in text:
            return text
        return f"{text} (default: {' '.join(default) if isinstance(default, list) else default})"


class Parser(argparse.ArgumentParser):
    """One that takes options among arguments, and raises a mistake as one sentence.

    Args:
        command: the table of ``help.toml`` that explains its arguments, such as ``data prune``.
        options: as for `argparse.ArgumentParser`, but for the formatter.
    """

    def __init__(self, *, command: str = SHARED, **options: Any) -> None:
        self.command = command
        epilog = help_texts().get(command, {}).get("epilog")
        super().__init__(formatter_class=HelpFormatter, epilog=epilog, **options)
        self._is_mixing = False

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """Declare an argument; where its help is not given, ``help.toml`` has it."""
        texts = {**help_texts()[SHARED], **help_texts().get(self.command, {})}
        if options.get("help") is None and names[0] in texts:
            options["help"] = texts[names[0]]
        return super().add_argument(*names, **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as the base class does, options among arguments too."""
        if self._is_mixing or self._subparsers is not None:
            return super().parse_known_args(args, namespace)
        self._is_mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_mixing = False

    def error(self, message: str) -> NoReturn:
        """Raise a mistake in the arguments.

        Raises:
            UserError: always.
        """
        sentence = message.removeprefix("argument ").replace(": must be ", " must be ", 1)
        raise UserError(f"{sentence} ({self.prog} --help explains)")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is none of the choices, and name the nearest of them."""
        choices = [] if action.choices is None else [*action.choices]
        if action.choices is None or value in choices:
            return
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"did you mean {near[0]}?" if near else f"they are {', '.join(choices)}"
        noun = "/".join(action.option_strings) or str(action.metavar or action.dest).lower()
        raise argparse.ArgumentError(None, f"there is no {noun} {value}: {hint}")


def add_commands(parser: Parser, noun: str, modules: Mapping[str, ModuleType]) -> None:
    """Declare commands, each a module with a ``DESCRIPTION``, ``add_arguments`` and ``run``.

    Args:
        parser: the parser that gets the commands.
        noun: what they are called; the attribute of that name of what is parsed is the ``run`` of
            the one that was chosen.
        modules: the modules, by the names of the commands.
    """
    named = f"name one of the {noun}s {', '.join(modules)}"
    parser.set_defaults(**{noun: lambda options: parser.error(named)})
    title = f"{noun}s, each with --help of its own"
    commands = parser.add_subparsers(title=title, metavar=noun.upper())
    for name, module in modules.items():
        text, full = module.DESCRIPTION, f"{parser.command} {name}"
        command = name if noun == "command" else full
        one = commands.add_parser(name, command=command, help=text, description=text)
        one.set_defaults(**{noun: module.run})
        module.add_arguments(one)


def at_least(least: int) -> Callable[[str], int]:
    """Return what reads a whole number that is not below ``least``."""

    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {value}")
        return value

    number.__name__ = "whole number"  # argparse tells it of a text that is none
    return number
