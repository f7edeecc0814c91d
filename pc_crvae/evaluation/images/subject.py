"""The model and the images that an evaluation is of."""

from typing import Literal, cast

from pc_crvae.data import ImageSet
from pc_crvae.errors import UserError
from pc_crvae.evaluation.images.observations import ImageModel
from pc_crvae.models.points.model import PointModel
from pc_crvae.runs.saved import SavedModel


def image_model(saved: SavedModel) -> ImageModel:
    """Return the model, where it is one of images.

    Raises:
        UserError: it is one of points.
    """
    if isinstance(saved.model, PointModel):
        raise UserError(
            f"{saved.folder} holds a {type(saved.model).__name__}, which has no normalised "
            "likelihood, and this command is for models of images: measure it with "
            "tools/generation.py and tools/probe.py"
        )
    return cast(ImageModel, saved.model)


def image_splits(
    saved: SavedModel, split: Literal["test", "validation"]
) -> tuple[ImageSet, ImageSet]:
    """Load what classifiers are fitted on, and what is evaluated.

    Args:
        saved: a model of images, and its data.
        split: ``test``, or what the model's own training held out.

    Raises:
        UserError: they cannot be loaded, or the model's training held nothing out of these data.
    """
    official = cast(ImageSet, saved.split("train"))
    if split == "test":
        return official, cast(ImageSet, saved.split("test"))
    if saved.config is None or saved.data != saved.model.data.get("name"):
        why = f"{saved.folder} lies in no run" if saved.config is None else "these are other data"
        raise UserError(
            f"the validation split is what the model's own training held out, and {why}: evaluate "
            "the test split"
        )
    return cast(tuple[ImageSet, ImageSet], saved.training_splits())
