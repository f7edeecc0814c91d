"""``evaluate``: how well a model of images explains held-out ones, and what its latents hold."""

import argparse
from pathlib import Path

from pc_crvae.cli.saved import (
    add_model_arguments,
    add_report_argument,
    add_table_argument,
    check_table,
    deliver_table,
    open_saved,
    reports_of,
)
from pc_crvae.utils.files import require_writable

DESCRIPTION = "Evaluate a model of images: likelihood, KLs, information, classifiers, pictures."
_MORE = (
    "The NLL is in nats an image, by importance sampling, with its standard error; the JSON names "
    "each figure (nll, elbo, rate, distortion, mutual_information, active_units, consistency_kl, "
    "classifiers ...) and, under protocol, what it is of."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.epilog = _MORE
    add_model_arguments(parser, of_clouds=False)
    add_report_argument(parser, "evaluation.json", "pictures beside it")
    parser.add_argument(
        "--split",
        choices=("test", "validation"),
        default="test",
        help="validation: what training held out, for choosing between runs",
    )
    parser.add_argument(
        "--samples", type=int, default=500, help="latents an image, of the likelihood's estimate"
    )
    parser.add_argument(
        "--items",
        type=int,
        help="images, drawn by --seed, that all but mutual information and the classifiers are "
        "evaluated on (default: all)",
    )
    parser.add_argument(
        "--train-items",
        type=int,
        default=10_000,
        help="at most so many training images, drawn by --seed, that classifiers are fitted on",
    )
    parser.add_argument("--seed", type=int, default=0, help="fixes what is drawn")
    add_table_argument(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate."""
    report_path: Path = options.json or reports_of(options.ckpt) / "evaluation.json"
    check_table(options)
    saved = open_saved(options)

    from pc_crvae.cli.counting import counting
    from pc_crvae.evaluation.images.consistency import transform_of
    from pc_crvae.evaluation.images.paper import table_of_images
    from pc_crvae.evaluation.images.pictures import save_pictures
    from pc_crvae.evaluation.images.protocol import ImageProtocol
    from pc_crvae.evaluation.images.report import format_images
    from pc_crvae.evaluation.images.run import evaluate_images
    from pc_crvae.evaluation.images.subject import image_model, image_splits

    model = image_model(saved)
    require_writable(report_path)
    protocol = ImageProtocol(
        samples=options.samples,
        items=options.items,
        train_items=options.train_items,
        seed=options.seed,
    )
    train_set, held_out = image_splits(saved, options.split)
    transform, whose = transform_of(saved.config)
    with counting("parts of the images", protocol.steps(held_out)) as advance:
        report, observed = evaluate_images(
            model, train_set, held_out, protocol, transform, transform_from=whose, advance=advance
        )
    report = report.of_model(saved.folder, options.which, saved.model.data, saved.weights_sha256)
    report.write(report_path)
    print(format_images(report))
    print(f"report: {report_path}")
    deliver_table(options, lambda: table_of_images(report))
    by_dimension = report.kl_per_dimension
    pictures = save_pictures(model, observed, by_dimension, report_path, options.seed)
    for name, path in pictures.items():
        print(f"{name}: {path}")
