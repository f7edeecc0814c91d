"""Saved models: a folder with ``model.safetensors`` and ``config.json``, written and read back.

Nothing is unpickled; a model of another class or format, or with other weights, is refused.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from pc_crvae.errors import UserError
from pc_crvae.utils.files import atomic_path
from pc_crvae.utils.validation import describe
from pc_crvae.version import __version__

if TYPE_CHECKING:
    from pc_crvae.models.pretrained import Pretrained

FORMAT_VERSION = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "config.json"
EXPORT_FILES = (WEIGHTS, DESCRIPTION)

Model = TypeVar("Model", bound="Pretrained")


def write_export(model: "Pretrained", folder: Path) -> None:
    """Write ``model`` to ``folder``: both files whole, or neither.

    Raises:
        UserError: if it cannot be written; what was there stays.
    """
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in _weights(model)}
    description = {
        "class": type(model).__name__,
        "format_version": FORMAT_VERSION,
        "pc_crvae_version": __version__,
        **model.description(),
    }
    # Neither takes its place before both are written.
    with (
        atomic_path(folder / WEIGHTS) as weights_path,
        atomic_path(folder / DESCRIPTION) as description_path,
    ):
        weights_path.write_bytes(save(weights))
        description_path.write_text(json.dumps(description, indent=2) + "\n")


def read_export(folder: Path, model_class: type[Model]) -> Model:
    """Read what `write_export` wrote, in evaluation mode, on the CPU.

    Raises:
        UserError: if a file is missing or damaged, or holds another model.
    """
    model = model_class.from_description(_read_description(folder / DESCRIPTION, model_class))
    path = folder / WEIGHTS
    try:
        weights = load_file(path)
    except FileNotFoundError:
        raise UserError(f"{folder} holds no {WEIGHTS}: it is not a saved model") from None
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is damaged ({error}): restore it from a copy, or use another checkpoint"
        ) from None
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError:
        expected = {name: tuple(tensor.shape) for name, tensor in _weights(model)}
        found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        odd = next(
            name for name in sorted(expected | found) if expected.get(name) != found.get(name)
        )
        raise UserError(
            f"{path} holds the weights of another model than {folder / DESCRIPTION} describes: "
            f"{odd} is {found.get(odd, 'missing')}, not {expected.get(odd, 'part of it')}"
        ) from None
    return model.eval()


def exported_class(folder: Path) -> str | None:
    """The name of the class whose model ``folder`` holds, None where it does not say.

    Raises:
        UserError: if its description is missing or damaged.
    """
    found = _read_json(folder / DESCRIPTION)
    return str(found["class"]) if isinstance(found, dict) and "class" in found else None


def _weights(model: "Pretrained") -> list[tuple[str, Any]]:
    return list(model.state_dict().items())


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{path} is damaged: it is not JSON") from None


def _read_description(path: Path, model_class: type["Pretrained"]) -> pydantic.BaseModel:
    description = _read_json(path)
    found = description.get("class") if isinstance(description, dict) else None
    if found != model_class.__name__:
        raise UserError(
            f"{path} describes a {found or 'unknown model'}, not a {model_class.__name__}"
        )
    if description.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {description.get('format_version')}, and this version of "
            f"pc_crvae reads {FORMAT_VERSION}: load it with the version that wrote it, "
            f"{description.get('pc_crvae_version', 'unknown')}"
        )
    try:
        # JSON mode is strict about types yet takes a list for a tuple.
        return model_class.Description.model_validate_json(json.dumps(description))
    except pydantic.ValidationError as error:
        raise UserError(describe(error, str(path), model_class.Description)) from None
