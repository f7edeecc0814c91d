"""``compare``: whether one probe beats another on the same test items."""

import argparse
from pathlib import Path

from pc_crvae.cli.options import add_json, add_table
from pc_crvae.cli.saved import check_table, deliver_table, reports_of
from pc_crvae.utils.files import require_writable

DESCRIPTION = "Compare two probes item by item: bootstrap interval and exact McNemar test."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("first", type=Path, metavar="A")
    parser.add_argument("second", type=Path, metavar="B")
    parser.add_argument("--rows", nargs=2, metavar=("ROW_A", "ROW_B"))
    add_json(parser, "the comparison", "print it only")
    add_table(parser)


def run(options: argparse.Namespace) -> None:
    """Compare."""
    from pc_crvae.evaluation.probe.comparison import compare_probes, format_comparison, read_probe
    from pc_crvae.evaluation.probe.paper import table_of_comparison

    check_table(options)
    if options.json is not None:
        require_writable(options.json)
    rows = options.rows
    compared = compare_probes(
        read_probe(reports_of(options.first)),
        read_probe(reports_of(options.second)),
        None if rows is None else tuple(rows),
    )
    print(format_comparison(compared))
    if options.json is not None:
        compared.write(options.json)
        print(f"comparison: {options.json}")
    deliver_table(options, lambda: table_of_comparison(compared))
