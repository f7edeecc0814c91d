"""Where the cards and configs lie: inside an installed package, or at the top of a checkout."""

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def resource_folder(kind: Literal["datasets", "configs"]) -> Path:
    """Return the folder that holds the YAML files of one kind.

    A wheel carries them as ``pc_crvae/datasets`` and ``pc_crvae/configs``; a checkout keeps
    them at its top.
    """
    packaged = _PACKAGE / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind


def checkout_folder() -> Path | None:
    """Return the top of the checkout the package runs from, None for an installed package."""
    return None if (_PACKAGE / "datasets").is_dir() else _PACKAGE.parent
