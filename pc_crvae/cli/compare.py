"""``compare``: whether one probe beats another on the same test items."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pc_crvae.cli.options import add_json, add_shared
from pc_crvae.cli.saved import check_table, deliver_table, reports_of
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable
from pc_crvae.utils.invocation import called

if TYPE_CHECKING:
    from pc_crvae.evaluation.probe.comparison import StoredProbe

DESCRIPTION = "Compare two probes item by item: bootstrap interval and exact McNemar test."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("first", type=Path, metavar="A")
    parser.add_argument("second", type=Path, metavar="B")
    parser.add_argument("--rows", nargs=2, metavar=("ROW_A", "ROW_B"))
    add_json(parser, "the comparison", "print it only")
    add_shared(parser, "--table")


def run(options: argparse.Namespace) -> None:
    """Compare."""
    from pc_crvae.evaluation.probe.comparison import compare_probes, format_comparison
    from pc_crvae.evaluation.probe.paper import table_of_comparison

    check_table(options)
    require_writable(options.json)
    rows = options.rows
    compared = compare_probes(
        _probe_of(options.first), _probe_of(options.second), None if rows is None else tuple(rows)
    )
    print(format_comparison(compared))
    if options.json is not None:
        compared.write(options.json)
        print(f"comparison: {options.json}")
    deliver_table(options, lambda: table_of_comparison(compared))


def _probe_of(named: Path) -> "StoredProbe":
    from pc_crvae.evaluation.probe.comparison import read_probe

    place = reports_of(named)
    comes_with_package = place != named
    if comes_with_package and not (place / "probe.json").is_file():
        line = called("probe", "--ckpt", named, "--data", "CARD")
        raise UserError(
            f"{named} was not probed in this working directory: {line}, with the data of the other "
            "probe, writes what is compared"
        )
    return read_probe(place)
