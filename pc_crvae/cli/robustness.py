"""``robustness``: what is left of a representation of shapes turned, spoilt or seen in part."""

import argparse
from pathlib import Path

from pc_crvae.cli.saved import (
    add_figures_argument,
    add_model_arguments,
    add_report_argument,
    add_table_argument,
    add_untrained_argument,
    check_table,
    deliver_table,
    open_saved,
    reports_of,
)
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable

DESCRIPTION = "Score frozen features of turned, corrupted, occluded and sparse test shapes."

_PARTS = ("rotation", "corruption", "occlusion", "points")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_arguments(parser)
    add_report_argument(parser, "robustness.json", "the curves beside it")
    parser.add_argument(
        "--parts", nargs="+", choices=_PARTS, default=list(_PARTS), help="what is measured"
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="FILE",
        help="report of another run, whose trained encoder's corruption errors are 1 "
        "(default: the untrained encoder's are)",
    )
    parser.add_argument(
        "--points",
        type=int,
        help="points drawn of each shape (default: 1024, or as many as the shapes have; the "
        "corruptions' recipes are for 1024)",
    )
    parser.add_argument(
        "--point-counts",
        type=int,
        nargs="+",
        help="for the part points (default: of 64, 128, 256, 512, 1024, 2048, 4096 those that the "
        "test shapes have)",
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="draws of points, turns, corruptions, initialisations"
    )
    add_untrained_argument(parser, "calibrated")
    add_table_argument(parser)
    add_figures_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Measure robustness."""
    if options.seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {options.seeds}")
    check_table(options)
    report_path: Path = options.json or reports_of(options.ckpt) / "robustness.json"
    saved = open_saved(options)
    model = saved.point_vae
    require_writable(report_path)

    from pc_crvae.cli.counting import counting
    from pc_crvae.evaluation.robustness.paper import table_of_robustness
    from pc_crvae.evaluation.robustness.picture import robustness_curves
    from pc_crvae.evaluation.robustness.protocol import RECIPE_POINTS, protocol_for
    from pc_crvae.evaluation.robustness.reference import read_reference
    from pc_crvae.evaluation.robustness.run import measure_robustness
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
        report = measure_robustness(
            model, train_set, test_set, protocol, reference=reference, advance=advance
        )
    report = report.of_model(saved.folder, options.which, model.data, saved.weights_sha256)
    report.write(report_path)
    print(format_robustness(report))
    print(f"report: {report_path}")
    deliver_table(options, lambda: table_of_robustness(report))
    if set(protocol.parts) != {"rotation"}:
        picture = report_path.with_name(f"{report_path.stem}-curves.{options.figures}")
        robustness_curves(report, picture)
        print(f"curves: {picture}")
