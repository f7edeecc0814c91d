"""Saved models of whatever class, read back."""

from pathlib import Path

from pc_crvae.errors import UserError
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.images.vae import ImageVAE
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.models.pretrained import Pretrained, exported_class, read_export

CLASSES: dict[str, type[Pretrained]] = {
    model_class.__name__: model_class for model_class in (PointVAE, ImageVAE, PretrainedNVAE)
}


def read_model(folder: Path) -> Pretrained:
    """Read the model that an export holds, in evaluation mode, on the CPU.

    Raises:
        UserError: if a file is missing or damaged, or holds something else.
    """
    name = exported_class(folder)
    if name not in CLASSES:
        raise UserError(
            f"{folder} holds a model of the class {name or '(none given)'}, and this version of "
            f"pc_crvae reads {', '.join(CLASSES)}"
        )
    return read_export(folder, CLASSES[name])
