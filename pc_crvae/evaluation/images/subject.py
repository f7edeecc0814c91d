"""The model that an evaluation of images is of."""

from typing import cast

from pc_crvae.errors import UserError
from pc_crvae.evaluation.images.observations import ImageModel
from pc_crvae.models.points.model import PointModel
from pc_crvae.runs.saved import SavedModel
from pc_crvae.utils.invocation import called


def image_model(saved: SavedModel) -> ImageModel:
    """Return the model, where it is one of images.

    Raises:
        UserError: it is one of points.
    """
    if isinstance(saved.model, PointModel):
        raise UserError(
            f"{saved.folder} holds a {type(saved.model).__name__}, which has no normalised "
            "likelihood, and this command is for models of images: measure it with "
            f"{called('generation')} and {called('probe')}"
        )
    return cast(ImageModel, saved.model)
