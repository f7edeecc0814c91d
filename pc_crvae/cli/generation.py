"""``generation``: what a model of points decodes, and how it uses its latents."""

import argparse
import json
from pathlib import Path

from pc_crvae.cli.saved import add_model_arguments, open_saved
from pc_crvae.errors import UserError

DESCRIPTION = "Measure reconstructions, samples of the prior, and the use of latents."

_COUNT = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_arguments(parser)
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="where the report goes, a picture beside it "
        "(default: generation.json in --ckpt's folder)",
    )
    parser.add_argument(
        "--count",
        type=int,
        default=argparse.SUPPRESS,
        help=f"samples, and test shapes that they are held against (default: {_COUNT}, or as many "
        "as there are)",
    )
    parser.add_argument(
        "--points",
        type=int,
        default=512,
        help="points of each in that comparison, or as many as the model decodes; exact "
        "assignment takes the cube of it",
    )
    parser.add_argument(
        "--baseline",
        action="store_true",
        help="also hold training shapes against the test shapes: what a perfect model would reach",
    )
    parser.add_argument("--workers", type=int, default=1, help="processes for exact assignment")
    parser.add_argument("--seed", type=int, default=0, help="fixes what is drawn")


def run(options: argparse.Namespace) -> None:
    """Measure reconstruction and generation."""
    if options.workers < 1:
        raise UserError(f"--workers must be at least 1, not {options.workers}")
    report_path: Path = getattr(options, "json", options.ckpt / "generation.json")
    saved = open_saved(options)
    model = saved.point_model

    from pc_crvae.cli.counting import counting
    from pc_crvae.evaluation.generation.run import QualityProtocol, evaluate_quality, format_quality
    from pc_crvae.utils.files import atomic_path
    from pc_crvae.visualization.quality_picture import quality_picture

    train_set, test_set = saved.clouds("train"), saved.clouds("test")
    least = min(len(train_set), len(test_set)) if options.baseline else len(test_set)
    available = test_set.points.shape[1]
    protocol = QualityProtocol(
        count=getattr(options, "count", min(_COUNT, least)),
        points=options.points,
        encoded_points=min(model.points, available),
        baseline=options.baseline,
        seed=options.seed,
    )
    with counting("clouds matched", protocol.steps) as advance:
        report, pictured = evaluate_quality(
            model, train_set, test_set, protocol, workers=options.workers, advance=advance
        )
    report["checkpoint"] = {"path": str(saved.folder), "which": options.which}
    report["trained_on"] = model.data
    with atomic_path(report_path) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n")
    picture = report_path.with_name(f"{report_path.stem}-shapes.png")
    rows = {"test shapes": pictured.shapes, "reconstructions": pictured.reconstructions}
    if pictured.samples is not None:
        rows["samples"] = pictured.samples
    quality_picture(rows, picture)
    print(format_quality(report))
    print(f"report: {report_path}\nshapes: {picture}")
