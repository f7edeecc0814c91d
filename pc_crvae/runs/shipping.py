"""Making the files of a model that comes with the package from the run that trained it."""

import re
from pathlib import Path

from pc_crvae.errors import UserError
from pc_crvae.models.exports import WEIGHTS, SavedExport, write_export
from pc_crvae.runs.folder import Which
from pc_crvae.runs.model_card import model_card, stages_of
from pc_crvae.runs.saved import SavedModel
from pc_crvae.utils import resources
from pc_crvae.utils.files import atomic_folder

MOST_BYTES = 4_000_000
"""Of the weights of one model."""

CARD = "card.md"


def ship(run: Path, name: str, *, which: Which = "last", figures: str = "") -> Path:
    """Write the model of a run, in half precision, and its card into the package.

    What is there of that name is replaced.

    Args:
        run: the folder of the run.
        name: the name that the model gets.
        which: the state of the run.
        figures: its measured figures, in Markdown, for the card.

    Returns:
        The folder that was written.

    Raises:
        UserError: there is no run, its model is none of point clouds or too large, or a name that
            no model can have.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise UserError(f"{name} is no name of a model: letters, digits and hyphens between them")
    stages = stages_of(run)
    model = SavedModel.open(run, which).point_vae
    place = resources.SHIPPED / name
    with atomic_folder(place) as folder:
        write_export(model, folder, half=True)
        written = SavedExport.read(folder)
        if len(written.weights) > MOST_BYTES:
            raise UserError(
                f"{WEIGHTS} of {run} has {len(written.weights):,} bytes in half precision, and a "
                f"model that comes with the package at most {MOST_BYTES:,}: train a smaller one"
            )
        card = model_card(name, model, stages, written, figures)
        (folder / CARD).write_text(card, encoding="utf-8")
    return place
