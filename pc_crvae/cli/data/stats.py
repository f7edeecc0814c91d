"""``data stats``: the classes of a data set counted, and its items measured."""

import argparse

from pc_crvae.cli.data.sets import splits_of
from pc_crvae.cli.options import add_json, add_reading
from pc_crvae.utils.files import require_writable, write_json

DESCRIPTION = "Count the classes of a data set, and measure its items."

_MOST_CLASSES = 60


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
    splits = summary["splits"]
    print(template_beside(__file__, "stats.txt").render(splits=splits), end="")
    _print_class_counts({split: numbers["per_class"] for split, numbers in splits.items()})
    if options.json is not None:
        write_json(options.json, summary)


def _print_class_counts(counts: dict[str, dict[str, int] | None]) -> None:
    labelled = {split: part for split, part in counts.items() if part is not None}
    if not labelled:
        print("no labels")
        return
    names = list(dict.fromkeys(name for part in labelled.values() for name in part))
    heading = "items a class"
    width = max(len(name) for name in [heading, *names])
    print(f"{heading:{width}}  " + "  ".join(f"{split:>8}" for split in labelled))
    for name in names[:_MOST_CLASSES]:
        numbers = "  ".join(f"{part.get(name, 0):8,}" for part in labelled.values())
        print(f"{name:{width}}  {numbers}")
    if len(names) > _MOST_CLASSES:
        print(f"and {len(names) - _MOST_CLASSES:,} classes more, which --json has")
