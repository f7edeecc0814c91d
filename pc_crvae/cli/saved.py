"""What the commands that start from a saved model share: its options, the model, its data."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from pc_crvae.errors import UserError

if TYPE_CHECKING:
    from pc_crvae.data import CloudSet, ImageSet
    from pc_crvae.data.cards import Axis
    from pc_crvae.models.points.vae import PointVAE
    from pc_crvae.models.pretrained import Pretrained


@dataclass(frozen=True)
class Saved:
    """A saved model and where the data it is to be used on lies.

    Attributes:
        model: in evaluation mode.
        folder: the export it was read from.
        data: name or path of a card.
        root: folder of the data, None for where it is looked for by default.
        up: the source's up axis, None for the card's.
        allow_refused: do without the files that cannot be used.
    """

    model: "Pretrained"
    folder: Path
    data: str
    root: Path | None
    up: "Axis | None"
    allow_refused: bool


def add_checkpoint_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Declare the options that say which model, and where it runs."""
    parser.add_argument(
        "--ckpt",
        type=Path,
        required=required,
        metavar="RUN",
        default=argparse.SUPPRESS,
        help="a run's folder, a checkpoint's, or a saved export's"
        + ("" if required else " (default: none)"),
    )
    parser.add_argument(
        "--which",
        choices=("last", "best"),
        default="last",
        help="of a run: the last state, or the best by the validation objective",
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu"), default="auto", help="auto: a GPU where there is one"
    )


def add_model_arguments(
    parser: argparse.ArgumentParser, *, required: bool = True, of_clouds: bool = True
) -> None:
    """Declare the options that say which model and which data; images have no up axis."""
    add_checkpoint_arguments(parser, required=required)
    parser.add_argument(
        "--data",
        metavar="CARD",
        default=argparse.SUPPRESS,
        help="name or path of a data set's card (default: what the model was trained on)",
    )
    parser.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="folder of the data (default: where the run found it)",
    )
    if of_clouds:
        parser.add_argument(
            "--up",
            choices=("x", "y", "z"),
            default=argparse.SUPPRESS,
            help="the data's up axis (default: the training run's, or the card's for other data)",
        )


def load_model(options: argparse.Namespace) -> tuple["Pretrained", Path]:
    """Load the model, in evaluation mode; return it and the folder of its export."""
    import torch

    from pc_crvae.models.saved import read_model
    from pc_crvae.runs.folder import find_export

    folder = find_export(options.ckpt, options.which)
    model = read_model(folder)
    if options.device == "auto" and torch.cuda.is_available():
        model.to("cuda")
    return model, folder


def of_points(model: "Pretrained", folder: Path) -> "PointVAE":
    """Return the model that it is, for a command that shapes are needed for.

    Raises:
        UserError: it is a model of images.
    """
    from pc_crvae.models.points.vae import PointVAE

    if not isinstance(model, PointVAE):
        raise UserError(
            f"{folder} holds a {type(model).__name__}, a model of images, and this command is for "
            "models of point clouds"
        )
    return model


def load_point_model(options: argparse.Namespace) -> tuple["PointVAE", Path]:
    """Load the model as `load_model` does, refusing one of images."""
    model, folder = load_model(options)
    return of_points(model, folder), folder


def load_saved(options: argparse.Namespace) -> Saved:
    """Load the model and settle which data it is used on."""
    from pc_crvae.runs.folder import find_run_config

    model, folder = load_model(options)
    config = find_run_config(folder)
    trained_on = model.data.get("name")
    name = getattr(options, "data", trained_on)
    if name is None:
        raise UserError(f"{folder} does not say what data it is for: name a card with --data")
    root: Path | None = getattr(options, "data_root", None)
    up: Axis | None = getattr(options, "up", None)
    allow_refused: bool = getattr(options, "allow_refused", False)
    if name == trained_on:
        up = up or model.data.get("up")
        if config is not None:
            allow_refused = allow_refused or config.data.allow_refused
            if root is None and config.data.root is not None:
                root = Path(config.data.root)
    return Saved(model, folder, name, root, up, allow_refused)


def load_split(saved: Saved, split: Literal["train", "test"]) -> "CloudSet | ImageSet":
    """One official split of the data.

    Raises:
        UserError: it cannot be loaded, or the model is of the other modality, or of images of
            another shape.
    """
    from pc_crvae.data import CloudSet, ImageSet, load
    from pc_crvae.models.points.vae import PointVAE

    items = load(saved.data, split, root=saved.root, up=saved.up, allow_refused=saved.allow_refused)
    if isinstance(items, CloudSet) != isinstance(saved.model, PointVAE):
        raise UserError(
            f"{items.name} holds {items.holds}, and {saved.folder} a {type(saved.model).__name__}: "
            "name other data with --data"
        )
    taken = getattr(saved.model, "shape", None)
    if isinstance(items, ImageSet) and items.images.shape[1:] != taken:
        raise UserError(
            f"the images of {items.name} are {_shape(items.images.shape[1:])}, and {saved.folder} "
            f"holds a model of images of {_shape(taken)}: name other data with --data"
        )
    return items


def _shape(shape: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, shape or ()))


def load_clouds_of(saved: Saved, split: Literal["train", "test"]) -> "CloudSet":
    """One official split of the data, which the model's being one of clouds makes clouds."""
    return cast("CloudSet", load_split(saved, split))
