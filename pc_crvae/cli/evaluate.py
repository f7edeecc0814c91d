"""``evaluate``: how well a model of images explains held-out ones, and what its latents hold."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pc_crvae.cli.saved import Saved, add_model_arguments, load_saved, load_split
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable

if TYPE_CHECKING:
    from pc_crvae.config import Config
    from pc_crvae.data import ImageSet
    from pc_crvae.evaluation.images.observations import ImageModel

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
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="where the report goes, pictures beside it "
        "(default: evaluation.json in --ckpt's folder)",
    )
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
        default=argparse.SUPPRESS,
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


def run(options: argparse.Namespace) -> None:
    """Evaluate."""
    report_path: Path = getattr(options, "json", options.ckpt / "evaluation.json")
    saved = load_saved(options)
    model = _of_images(saved)
    require_writable(report_path)

    from pc_crvae.cli.counting import counting
    from pc_crvae.evaluation.images.consistency import transform_of
    from pc_crvae.evaluation.images.pictures import save_pictures
    from pc_crvae.evaluation.images.protocol import ImageProtocol
    from pc_crvae.evaluation.images.report import format_images
    from pc_crvae.evaluation.images.run import evaluate_images
    from pc_crvae.runs.folder import find_run_config

    protocol = ImageProtocol(
        samples=options.samples,
        items=getattr(options, "items", None),
        train_items=options.train_items,
        seed=options.seed,
    )
    config = find_run_config(saved.folder)
    train_set, held_out = _splits(saved, options.split, config)
    transform, whose = transform_of(config)
    with counting("parts of the images", protocol.steps(held_out)) as advance:
        report, observed = evaluate_images(
            model,
            train_set,
            held_out,
            protocol,
            transform,
            transform_from=whose,
            advance=advance,
        )
    report = report.of_model(saved.folder, options.which, saved.model.data)
    report.write(report_path)
    print(format_images(report))
    print(f"report: {report_path}")
    by_dimension = report.kl_per_dimension
    pictures = save_pictures(model, observed, by_dimension, report_path, options.seed)
    for name, path in pictures.items():
        print(f"{name}: {path}")


def _of_images(saved: Saved) -> "ImageModel":
    from pc_crvae.models.points.vae import PointVAE

    if isinstance(saved.model, PointVAE):
        raise UserError(
            f"{saved.folder} holds a PointVAE, whose likelihood is not normalised, and this "
            "command is for models of images: measure it with tools/generation.py and "
            "tools/probe.py"
        )
    return cast("ImageModel", saved.model)


def _splits(saved: Saved, split: str, config: "Config | None") -> tuple["ImageSet", "ImageSet"]:
    """What classifiers are fitted on, and what is evaluated."""
    from pc_crvae.data import split_validation

    official = cast("ImageSet", load_split(saved, "train"))
    if split == "test":
        return official, cast("ImageSet", load_split(saved, "test"))
    if config is None or saved.data != saved.model.data.get("name"):
        raise UserError(
            "--split validation is what the model's own training held out, and "
            + (f"{saved.folder} lies in no run" if config is None else "--data names other data")
            + ": evaluate on --split test"
        )
    return split_validation(official, config.data.validation_fraction)
