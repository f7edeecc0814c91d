"""``evaluate``: how well a model of images explains held-out ones, and what its latents hold."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pc_crvae.cli.saved import add_model_arguments, open_saved
from pc_crvae.errors import UserError
from pc_crvae.utils.files import require_writable

if TYPE_CHECKING:
    from pc_crvae.config import Config
    from pc_crvae.data import ImageSet
    from pc_crvae.evaluation.images.observations import ImageModel, Observed
    from pc_crvae.runs.saved import SavedModel
    from pc_crvae.transforms.images import ImageTransform

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
    saved = open_saved(options)
    model = _of_images(saved)
    require_writable(report_path)

    from pc_crvae.cli.counting import counting
    from pc_crvae.evaluation.images.protocol import ImageProtocol
    from pc_crvae.evaluation.images.report import format_images
    from pc_crvae.evaluation.images.run import evaluate_images
    from pc_crvae.utils.files import atomic_path

    protocol = ImageProtocol(
        samples=options.samples,
        items=getattr(options, "items", None),
        train_items=options.train_items,
        seed=options.seed,
    )
    train_set, held_out = _splits(saved, options.split)
    transform, whose = _transform(saved.config)
    with counting("parts of the images", protocol.steps(held_out)) as advance:
        report, observed = evaluate_images(
            model, train_set, held_out, protocol, transform, advance=advance
        )
    report["protocol"]["transform_from"] = whose
    report["checkpoint"] = {"path": str(saved.folder), "which": options.which}
    report["trained_on"] = saved.model.data
    with atomic_path(report_path) as temporary:
        temporary.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n")
    print(format_images(report))
    print(f"report: {report_path}")
    for name, path in _draw(model, observed, report, report_path, options.seed).items():
        print(f"{name}: {path}")


def _of_images(saved: "SavedModel") -> "ImageModel":
    from pc_crvae.models.points.vae import PointVAE

    if isinstance(saved.model, PointVAE):
        raise UserError(
            f"{saved.folder} holds a PointVAE, whose likelihood is not normalised, and this "
            "command is for models of images: measure it with tools/generation.py and "
            "tools/probe.py"
        )
    return cast("ImageModel", saved.model)


def _splits(saved: "SavedModel", split: str) -> tuple["ImageSet", "ImageSet"]:
    """What classifiers are fitted on, and what is evaluated."""
    from pc_crvae.data import split_validation

    official = cast("ImageSet", saved.split("train"))
    if split == "test":
        return official, cast("ImageSet", saved.split("test"))
    config = saved.config
    if config is None or saved.data != saved.model.data.get("name"):
        raise UserError(
            "--split validation is what the model's own training held out, and "
            + (f"{saved.folder} lies in no run" if config is None else "--data names other data")
            + ": evaluate on --split test"
        )
    return split_validation(official, config.data.validation_fraction)


def _transform(config: "Config | None") -> tuple["ImageTransform", str]:
    """T of the consistency KL, and where it is from."""
    from pc_crvae.training.build import build_image_transform
    from pc_crvae.transforms.images import published

    if config is None or config.consistency is None:
        return published("small"), "the preset published small: the run was trained without any"
    transforms = cast("Any", config.consistency.transforms)
    return build_image_transform(transforms), "the run's own"


def _draw(
    model: "ImageModel", observed: "Observed", report: dict[str, Any], beside: Path, seed: int
) -> dict[str, Path]:
    """Write the pictures; return their paths by what they show."""
    from pc_crvae.evaluation.images.observations import has_density
    from pc_crvae.evaluation.images.pictures import (
        interpolation_rows,
        reconstruction_rows,
        sample_rows,
        traversal_rows,
    )
    from pc_crvae.visualization.image_grid import save_image_grid

    drawn = {
        "reconstructions": reconstruction_rows(model, observed.grey, observed.pixels),
        "interpolations": interpolation_rows(model, observed.pixels, seed),
    }
    if has_density(model):
        drawn["samples"] = sample_rows(model, seed)
        by_dimension = report["kl_per_dimension"]
        drawn["traversals"] = traversal_rows(model, observed.pixels[:1], by_dimension)
    paths = {name: beside.with_name(f"{beside.stem}-{name}.png") for name in drawn}
    for name, rows in drawn.items():
        save_image_grid(rows, paths[name])
    return paths
