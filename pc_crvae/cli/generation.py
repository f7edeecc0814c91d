"""``generation``: what a model of points decodes, and how it uses its latents."""

import argparse

from pc_crvae.cli.counting import counting
from pc_crvae.cli.endings import tell_files
from pc_crvae.cli.options import add_count, add_model_and_data, add_report, add_seed, add_shared
from pc_crvae.cli.saved import check_table, deliver_table, open_saved, report_path
from pc_crvae.utils.files import require_writable

DESCRIPTION = "Measure reconstructions, samples of the prior, and the use of latents."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_model_and_data(parser)
    add_report(parser, "generation.json", "a picture beside it")
    add_count(parser, "--count")
    add_count(parser, "--points", default=512)
    parser.add_argument("--baseline", action="store_true")
    add_count(parser, "--workers", default=1)
    add_seed(parser)
    add_shared(parser, "--table")


def run(options: argparse.Namespace) -> None:
    """Measure reconstruction and generation."""
    check_table(options)
    path = report_path(options, "generation")
    saved = open_saved(options)
    model = saved.point_vae
    require_writable(path)

    from pc_crvae.evaluation.generation.paper import table_of_generation
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
    report = report.of_model(saved, options.which)
    report.write(path)
    picture = path.with_name(f"{path.stem}-shapes.png")
    quality_picture(pictured, picture)
    print(format_quality(report))
    tell_files(
        {
            "shapes": (picture, "open this first: shapes, reconstructions and samples"),
            "report": (path, "every figure above, with the protocol"),
        }
    )
    deliver_table(options, lambda: table_of_generation(report))
