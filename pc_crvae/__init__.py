"""Consistency-regularised variational auto-encoders for 3D shapes and images."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pc_crvae.version import __version__

if TYPE_CHECKING:
    from pc_crvae.models.pretrained import Pretrained

__all__ = ["__version__", "load"]


def load(path: str | Path, which: Literal["last", "best"] = "last") -> "Pretrained":
    """Load a saved model of whatever class, in evaluation mode, on the CPU.

    Args:
        path: a run's folder, a checkpoint's, or that of a saved export.
        which: of a run, its last state or the best by the validation objective.

    Raises:
        pc_crvae.errors.UserError: if there is no model, or it is damaged.
    """
    from pc_crvae.runs.saved import SavedModel

    return SavedModel.open(path, which).model
