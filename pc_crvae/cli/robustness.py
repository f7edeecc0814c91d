"""``robustness``: what is left of a representation of shapes turned, spoilt or seen in part."""

import argparse
from pathlib import Path

from pc_crvae.cli.counting import counting
from pc_crvae.cli.endings import tell_files
from pc_crvae.cli.options import (
    add_count,
    add_model_and_data,
    add_report,
    add_shared,
    add_untrained,
)
from pc_crvae.cli.saved import check_table, deliver_table, open_saved, report_path
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable

DESCRIPTION = "Score frozen features of turned, corrupted, occluded and sparse test shapes."

_PARTS = ("rotation", "corruption", "occlusion", "points")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_and_data(parser)
    add_report(parser, "robustness.json", "the curves beside it")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--reference", type=Path, metavar="FILE")
    parser.add_argument("--points", type=int, metavar="N")
    parser.add_argument("--point-counts", type=int, nargs="+", metavar="N")
    add_count(parser, "--seeds", default=3)
    add_untrained(parser, "calibrated")
    add_shared(parser, "--table", "--figures")


def run(options: argparse.Namespace) -> None:
    """Measure robustness."""
    check_table(options)
    path = report_path(options, "robustness")
    saved = open_saved(options)
    model = saved.point_vae
    require_writable(path)

    from pc_crvae.evaluation.robustness.paper import table_of_robustness
    from pc_crvae.evaluation.robustness.picture import robustness_curves
    from pc_crvae.evaluation.robustness.protocol import RECIPE_POINTS, protocol_for
    from pc_crvae.evaluation.robustness.reference import read_reference
    from pc_crvae.evaluation.robustness.run import encoders_beside, run_robustness
    from pc_crvae.evaluation.robustness.table import format_robustness

    reference = read_reference(options.reference) if options.reference is not None else None
    if reference is not None and "corruption" not in options.parts:
        raise UserError("--reference is for the corruptions: leave it out, or have them measured")
    train_set, test_set = saved.clouds("train"), saved.clouds("test")
    protocol = protocol_for(
        train_set,
        test_set,
        parts=options.parts,
        seeds=options.seeds,
        points=options.points,
        point_counts=options.point_counts,
        untrained=options.untrained or "calibrated",
    )
    if protocol.points != RECIPE_POINTS and "corruption" in protocol.parts:
        print(
            f"note: shapes of {protocol.points:,} points; the corruptions are for {RECIPE_POINTS:,}"
        )
    with counting("sets of features", protocol.steps) as advance:
        report = run_robustness(
            *encoders_beside(model, train_set, protocol),
            train_set,
            test_set,
            protocol,
            reference=reference,
            advance=advance,
        )
    report = report.of_model(saved, options.which)
    report.write(path)
    print(format_robustness(report))
    files = {"report": (path, "every figure above, with the protocol")}
    if set(protocol.parts) != {"rotation"}:
        picture = path.with_name(f"{path.stem}-curves.{options.figures}")
        robustness_curves(report, picture)
        files["curves"] = picture, "open this first: accuracy against severity"
    tell_files(files)
    deliver_table(options, lambda: table_of_robustness(report))
