"""``data prune``: what was prepared or kept and is out of date, removed."""

import argparse

from pc_crvae.errors import printable

DESCRIPTION = (
    "Remove what was prepared and is out of date, and what explore, search and probe keep and no "
    "run has asked for in 90 days, such as what they found of files that are gone."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    everything = (
        "remove everything that is prepared, and what explore, search and probe keep, what is up "
        "to date as well"
    )
    parser.add_argument("--all", action="store_true", help=everything)
    parser.add_argument("--dry-run", action="store_true", help="only show what would be removed")


def run(options: argparse.Namespace) -> None:
    """Remove it and say what went."""
    from pc_crvae.data.cache.pruning import prune
    from pc_crvae.data.cache.store import cache_folder
    from pc_crvae.utils.templates import filled

    dry_run: bool = options.dry_run
    pruned = prune(everything=options.all, dry_run=dry_run)
    verb, cache = "would remove" if dry_run else "removed", cache_folder()
    about = {"pruned": pruned, "verb": verb, "cache": cache, "printable": printable}
    print(filled(__file__, "prune.txt", **about))
