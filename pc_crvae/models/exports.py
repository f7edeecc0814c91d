"""The files of a saved model: written whole or not at all, and held against their digests.

A saved model is a folder with ``model.safetensors`` and ``config.json``. Nothing is unpickled; a
model of another class or format, or with other weights, is rejected, and so are files that are not
as they were written: ``config.json`` has the SHA-256 of both, which every loading verifies. Exports
of 0.1 have none, and load as they are.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pydantic
from safetensors import SafetensorError
from safetensors.torch import load, save

from pc_crvae.errors import UserError, told
from pc_crvae.models.half_precision import halved_matrices
from pc_crvae.models.outline import LargerModelError, shapes_of
from pc_crvae.utils.files import atomic_path
from pc_crvae.utils.validation import validate
from pc_crvae.version import __version__

if TYPE_CHECKING:
    from pc_crvae.models.pretrained import Pretrained

FORMAT_VERSION = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "config.json"
EXPORT_FILES = (WEIGHTS, DESCRIPTION)

_DIGESTS = "sha256"
"""The key of ``config.json`` that holds the SHA-256 of both files, the other keys of itself."""

_MOST_DESCRIPTION = 2**24  # bytes

Model = TypeVar("Model", bound="Pretrained")


def write_export(model: "Pretrained", folder: Path, *, half: bool = False) -> None:
    """Write ``model`` to ``folder``: both files whole, or neither.

    Args:
        model: the model that is exported.
        folder: the folder to write to; it is made.
        half: keep the matrices of weights as float16, in half of the bytes; they are read back as
            float32. Biases, and what batch-norm has, stay as they are.

    Raises:
        UserError: if it cannot be written, or a weight is too large for half precision; what was
            there stays.
    """
    weights, description = _files_of(model, half=half)
    # Neither takes its place before both are written. The description, which has the digests of
    # both, takes its place last: weights of another one beside it are found out.
    with (
        atomic_path(folder / DESCRIPTION) as description_path,
        atomic_path(folder / WEIGHTS) as weights_path,
    ):
        weights_path.write_bytes(weights)
        description_path.write_bytes(description)


def mend_export(model: "Pretrained", folder: Path) -> None:
    """Write ``model`` to ``folder`` unless it is what the folder holds, to the last bit.

    Raises:
        UserError: as `write_export`.
    """
    weights, description = _files_of(model)
    try:
        export = SavedExport.read(folder)
        is_there = export.weights == weights and export.says(json.loads(description))
    except UserError:
        is_there = False
    if not is_there:
        write_export(model, folder)


@dataclass(frozen=True)
class SavedExport:
    """The files of a saved model, as they were written.

    Attributes:
        folder: the folder of the files.
        description: what ``config.json`` says.
        weights: the bytes of ``model.safetensors``.
        weights_sha256: the SHA-256 of the weights, in hex.
    """

    folder: Path
    description: Any
    weights: bytes
    weights_sha256: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read both files, and hold the weights against their digest, where there is one.

        Raises:
            UserError: one is missing or damaged.
        """
        description = _read_json(folder / DESCRIPTION)
        path = folder / WEIGHTS
        with told(f"{path} cannot be read", OSError):
            if not path.exists():
                raise UserError(f"{folder} holds no {WEIGHTS}: it is not a saved model")
            weights = path.read_bytes()
        digest = hashlib.sha256(weights).hexdigest()
        recorded = _recorded_digests(description).get(WEIGHTS)
        if recorded not in (None, digest):
            raise UserError(
                f"{path} is damaged (it is not what {DESCRIPTION} beside it was written with): "
                "restore both from a copy, or use another checkpoint"
            )
        return cls(folder, description, weights, digest)

    @property
    def model_class(self) -> str | None:
        """The name of the model's class, None where the files do not say."""
        is_known = isinstance(self.description, dict) and "class" in self.description
        return str(self.description["class"]) if is_known else None

    def says(self, description: Mapping[str, Any]) -> bool:
        """Whether the description is this one, by whatever version it was written, undamaged."""
        if not isinstance(self.description, dict):
            return False
        ours, other = (
            {name: said[name] for name in said if name not in (_DIGESTS, "pc_crvae_version")}
            for said in (self.description, description)
        )
        recorded = _recorded_digests(self.description).get(DESCRIPTION)
        return ours == other and recorded in (None, _digest_of(self.description))

    def read_as(self, model_class: type[Model]) -> Model:
        """Make the model, in evaluation mode, on the CPU.

        Raises:
            UserError: a file is damaged, or holds another model.
        """
        path = self.folder / WEIGHTS
        described = self._described(model_class)
        remedy = "restore it from a copy, or use another checkpoint"
        with told(f"{path} is damaged", SafetensorError, ValueError, remedy=remedy):
            weights = load(self.weights)
        found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        # A RuntimeError comes of sizes that overflow.
        with told(f"{self.folder / DESCRIPTION} describes no model", ValueError, RuntimeError):
            try:
                expected = shapes_of(lambda: model_class.from_description(described), weights)
            except LargerModelError as error:
                raise self._of_another_model(str(error)) from None
        if found != expected:
            odd = next(
                name for name in sorted(expected | found) if expected.get(name) != found.get(name)
            )
            raise self._of_another_model(
                f"{odd} is {found.get(odd, 'missing')}, not {expected.get(odd, 'part of it')}"
            )
        model = model_class.from_description(described)
        model.load_state_dict(weights, strict=True)  # which makes float32 of what is float16
        return model.eval()

    def _of_another_model(self, difference: str) -> UserError:
        return UserError(
            f"{self.folder / WEIGHTS} holds the weights of another model than "
            f"{self.folder / DESCRIPTION} describes: {difference}"
        )

    def _described(self, model_class: "type[Pretrained]") -> pydantic.BaseModel:
        path, description = self.folder / DESCRIPTION, self.description
        if self.model_class != model_class.__name__:
            raise UserError(
                f"{path} describes a {self.model_class or 'unknown model'}, not a "
                f"{model_class.__name__}"
            )
        if description.get("format_version") != FORMAT_VERSION:
            raise UserError(
                f"{path} has format version {description.get('format_version')}, and this version "
                f"of pc_crvae reads {FORMAT_VERSION}: load it with the version that wrote it, "
                f"{description.get('pc_crvae_version', 'unknown')}"
            )
        described = validate(model_class.Description, description, str(path))
        recorded = _recorded_digests(description).get(DESCRIPTION)
        if recorded not in (None, _digest_of(description)):
            raise UserError(
                f"{path} is damaged (it is not as it was written): restore it from a copy, use "
                f'another checkpoint, or, if you changed it yourself, remove its "{_DIGESTS}"'
            )
        return described


def recorded_sha256(folder: Path) -> str | None:
    """The SHA-256 of the weights that a saved model was written with; None of those of 0.1.

    Raises:
        UserError: its description is missing or damaged.
    """
    recorded = _recorded_digests(_read_json(folder / DESCRIPTION)).get(WEIGHTS)
    return None if recorded is None else str(recorded)


def _files_of(model: "Pretrained", *, half: bool = False) -> tuple[bytes, bytes]:
    """The contents of both files of a saved model, weights first."""
    tensors = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    if half:
        tensors |= halved_matrices(model)
    weights = save(tensors)
    description = {
        "class": type(model).__name__,
        "format_version": FORMAT_VERSION,
        "pc_crvae_version": __version__,
        **({"matrices": "float16"} if half else {}),
        **model.description(),
    }
    digests = {
        WEIGHTS: hashlib.sha256(weights).hexdigest(),
        DESCRIPTION: _digest_of(description),
    }
    text = json.dumps(description | {_DIGESTS: digests}, indent=2) + "\n"
    return weights, text.encode()


def _recorded_digests(description: Any) -> Mapping[str, Any]:
    """The digests of the files that a description holds; none of earlier versions."""
    digests = description.get(_DIGESTS) if isinstance(description, dict) else None
    return digests if isinstance(digests, dict) else {}


def _digest_of(description: Mapping[str, Any]) -> str:
    """The SHA-256, in hex, of all that a description says but for its digests."""
    said = {name: value for name, value in description.items() if name != _DIGESTS}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _read_json(path: Path) -> Any:
    with told(f"cannot read {path}", OSError):
        if path.stat().st_size > _MOST_DESCRIPTION:
            raise UserError(f"{path} is damaged: no description of a model is so large")
        content = path.read_bytes()
    try:
        return json.loads(content)
    except (ValueError, RecursionError):  # the latter where it is nested a thousand deep
        raise UserError(f"{path} is damaged: it is not JSON") from None
