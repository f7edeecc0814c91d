"""``data stats``: the classes of a data set counted, and its items measured."""

import argparse

from pc_crvae.cli.data.sets import splits_of
from pc_crvae.cli.options import add_json, add_reading
from pc_crvae.utils.files import require_writable, write_json

DESCRIPTION = "Count the classes of a data set, and measure its items."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_reading(parser)
    add_json(parser, "what is printed", "nowhere")


def run(options: argparse.Namespace) -> None:
    """Print the numbers, and write them."""
    from pc_crvae.data.inspection.summaries import summarize
    from pc_crvae.utils.templates import template_beside

    require_writable(options.json)
    summary = summarize(
        options.name,
        splits=splits_of(options),
        root=options.data_root,
        up=options.up,
        allow_refused=options.allow_refused,
    )
    print(template_beside(__file__, "stats.txt").render(summary), end="")
    if options.json is not None:
        write_json(options.json, summary)
