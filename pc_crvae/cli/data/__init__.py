"""``data``: which data sets there are, which are here, and what one of them holds."""

import argparse
from importlib import import_module
from typing import cast

from pc_crvae.cli.parsing import Parser, add_commands

DESCRIPTION = (
    "List the data sets, and show, fetch, prepare, check, measure or preview one; prune what is "
    "prepared."
)

ACTIONS = ("list", "show", "fetch", "prepare", "check", "stats", "preview", "prune")
"""The modules beside this one, each a command of its own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    modules = {name: import_module(f"{__name__}.{name}") for name in ACTIONS}
    add_commands(cast(Parser, parser), "action", modules)


def run(options: argparse.Namespace) -> None:
    """Run the action."""
    options.action(options)
