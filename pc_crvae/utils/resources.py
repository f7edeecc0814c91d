"""Where the cards, configs and models lie that come with the package, installed or checked out."""

import difflib
from pathlib import Path
from typing import Literal

from pc_crvae.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]

SHIPPED = _PACKAGE / "shipped"
"""The folder of the models that come with the package, a folder each."""


def resource_folder(kind: Literal["datasets", "configs"]) -> Path:
    """Return the folder that holds the YAML files of one kind.

    A wheel carries them as ``pc_crvae/datasets`` and ``pc_crvae/configs``; a checkout keeps
    them at its top.
    """
    packaged = _PACKAGE / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind


def find_experiment(path: Path, folder: Path, kind: str) -> Path:
    """Return the file that ``path`` means: itself, or one that comes with the package, by its name.

    Args:
        path: the path that the user gave; the name of ``folder`` may stand before that of the file,
            and the suffix may be left out.
        folder: the package's.
        kind: what the files are called in sentences.

    Raises:
        UserError: if there is neither, naming the nearest that comes with the package.
    """
    candidates = [path]
    if path.parent.name in ("", folder.name):
        candidates += [folder / path.name, folder / f"{path.name}.yaml"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = sorted(file.name for file in folder.glob("*.yaml"))
    near = difflib.get_close_matches(path.stem, [Path(name).stem for name in known], n=1)
    hint = f"did you mean {near[0]}.yaml?" if near else f"the package brings {', '.join(known)}"
    raise UserError(f"there is no {kind} {path}: {hint}")


DEFAULT_MODEL = "pretrained-so3"
"""The model that embeds shapes where none is named: its vectors hardly depend on how they face."""


def shipped_models() -> dict[str, Path]:
    """Return the folders of the models that come with the package, by their names."""
    return {folder.name: folder for folder in sorted(SHIPPED.glob("*")) if folder.is_dir()}


def shipped_model(path: Path) -> Path | None:
    """Return the folder of the model that ``path`` is the name of.

    Returns:
        None where no model that comes with the package has that name, and where ``path`` exists,
        which then is meant.
    """
    return None if path.exists() else shipped_models().get(str(path))


def shadowing_note(path: Path) -> str | None:
    """Return what to say where ``path`` exists and a model has its name; None elsewhere."""
    if not path.exists() or str(path) not in shipped_models():
        return None
    return (
        f"note: {path} is taken as the path that exists, not as the model of that name that comes "
        "with the package"
    )


def checkout_folder() -> Path | None:
    """Return the top of the checkout the package runs from, None for an installed package."""
    return None if (_PACKAGE / "datasets").is_dir() else _PACKAGE.parent
