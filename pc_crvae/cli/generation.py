"""``generation``: what a model of points decodes, and how it uses its latents."""

import argparse
from pathlib import Path

from pc_crvae.cli.saved import add_model_arguments, add_report_argument, open_saved, reports_of
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable

DESCRIPTION = "Measure reconstructions, samples of the prior, and the use of latents."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_arguments(parser)
    add_report_argument(parser, "generation.json", "a picture beside it")
    parser.add_argument(
        "--count",
        type=int,
        help="samples, and test shapes that they are held against (default: 100, or as many as "
        "there are)",
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
    report_path: Path = options.json or reports_of(options.ckpt) / "generation.json"
    saved = open_saved(options)
    model = saved.point_vae
    require_writable(report_path)

    from pc_crvae.cli.counting import counting
    from pc_crvae.evaluation.generation.protocol import protocol_for
    from pc_crvae.evaluation.generation.report import format_quality
    from pc_crvae.evaluation.generation.run import evaluate_quality
    from pc_crvae.visualization.quality_picture import quality_picture

    train_set, test_set = saved.clouds("train"), saved.clouds("test")
    protocol = protocol_for(
        model,
        train_set,
        test_set,
        count=options.count,
        points=options.points,
        baseline=options.baseline,
        seed=options.seed,
    )
    with counting("clouds matched", protocol.steps) as advance:
        report, pictured = evaluate_quality(
            model, train_set, test_set, protocol, workers=options.workers, advance=advance
        )
    report = report.of_model(saved.folder, options.which, model.data, saved.weights_sha256)
    report.write(report_path)
    picture = report_path.with_name(f"{report_path.stem}-shapes.png")
    quality_picture(pictured, picture)
    print(format_quality(report))
    print(f"report: {report_path}\nshapes: {picture}")
