"""``robustness``: what is left of a representation of shapes turned, spoilt or seen in part."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pc_crvae.cli.saved import add_model_arguments, open_saved
from pc_crvae.errors import UserError

if TYPE_CHECKING:
    from pc_crvae.models.points.vae import PointVAE

DESCRIPTION = "Score frozen features of turned, corrupted, occluded and sparse test shapes."

_PARTS = ("rotation", "corruption", "occlusion", "points")
_POINTS = 1024
_POINT_COUNTS = (64, 128, 256, 512, 1024, 2048, 4096)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_arguments(parser)
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="where the report goes, the curves beside it "
        "(default: robustness.json in --ckpt's folder)",
    )
    parser.add_argument(
        "--parts", nargs="+", choices=_PARTS, default=list(_PARTS), help="what is measured"
    )
    parser.add_argument(
        "--reference",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="report of another run, whose trained encoder's corruption errors are 1 "
        "(default: the untrained encoder's are)",
    )
    parser.add_argument(
        "--points",
        type=int,
        default=argparse.SUPPRESS,
        help=f"points drawn of each shape (default: {_POINTS}, or as many as the shapes have; the "
        f"corruptions' recipes are for {_POINTS})",
    )
    parser.add_argument(
        "--point-counts",
        type=int,
        nargs="+",
        default=argparse.SUPPRESS,
        help=f"for the part points (default: of {', '.join(map(str, _POINT_COUNTS))} those that "
        "the test shapes have)",
    )
    parser.add_argument(
        "--seeds", type=int, default=3, help="draws of points, turns, corruptions, initialisations"
    )


def run(options: argparse.Namespace) -> None:
    """Measure robustness."""
    if options.seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {options.seeds}")
    report_path: Path = getattr(options, "json", options.ckpt / "robustness.json")
    saved = open_saved(options)
    model = saved.point_model

    from pc_crvae.cli.counting import counting
    from pc_crvae.evaluation.encoders import untrained_like
    from pc_crvae.evaluation.robustness.picture import robustness_curves
    from pc_crvae.evaluation.robustness.report import format_robustness, read_reference
    from pc_crvae.evaluation.robustness.run import (
        RobustnessProtocol,
        posterior_encoder,
        run_robustness,
    )
    from pc_crvae.utils.files import atomic_path

    reference = read_reference(options.reference) if hasattr(options, "reference") else None
    if reference is not None and "corruption" not in options.parts:
        raise UserError("--reference is for the corruptions: leave it out, or have them measured")
    train_set, test_set = saved.clouds("train"), saved.clouds("test")
    available = min(items.points.shape[1] for items in (train_set, test_set))
    counts = [count for count in _POINT_COUNTS if count <= test_set.points.shape[1]]
    protocol = RobustnessProtocol(
        points=getattr(options, "points", min(_POINTS, available)),
        seeds=tuple(range(options.seeds)),
        parts=tuple(dict.fromkeys(options.parts)),
        point_counts=tuple(getattr(options, "point_counts", counts or [available])),
    )
    if protocol.points != _POINTS and "corruption" in protocol.parts:
        print(f"note: shapes of {protocol.points:,} points; the corruptions are for {_POINTS:,}")

    with counting("sets of features", protocol.steps) as advance:
        report = run_robustness(
            posterior_encoder(model),
            lambda seed: posterior_encoder(cast("PointVAE", untrained_like(model, seed))),
            train_set,
            test_set,
            protocol,
            reference=reference,
            advance=advance,
        )
    report["checkpoint"] = {"path": str(saved.folder), "which": options.which}
    report["trained_on"] = model.data
    with atomic_path(report_path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n")
    print(format_robustness(report))
    print(f"report: {report_path}")
    if set(protocol.parts) != {"rotation"}:
        picture = report_path.with_name(f"{report_path.stem}-curves.png")
        robustness_curves(report, picture)
        print(f"curves: {picture}")
