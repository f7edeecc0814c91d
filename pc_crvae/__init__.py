"""Consistency-regularised variational auto-encoders for 3D shapes and images."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pc_crvae.models.points.vae import PointVAE

__version__ = "0.1.0"


def load(path: str | Path, which: Literal["last", "best"] = "last") -> "PointVAE":
    """Load a saved model, in evaluation mode, on the CPU.

    Args:
        path: a run's folder, a checkpoint's, or that of a saved export.
        which: of a run, its last state or the best by the validation objective.

    Raises:
        pc_crvae.errors.UserError: if there is no model, or it is damaged.
    """
    from pc_crvae.export import read_export
    from pc_crvae.models.points.vae import PointVAE
    from pc_crvae.runs import find_export

    return read_export(find_export(Path(path), which), PointVAE)
