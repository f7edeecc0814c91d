"""Models as a user holds them, whatever their modality: encoding, saving, loading.

A saved model is a folder with ``model.safetensors`` and ``config.json``. Nothing is unpickled; a
model of another class or format, or with other weights, is rejected, and so are files that are not
as they were written: ``config.json`` has the SHA-256 of both, which every loading verifies. Exports
of 0.1 have none, and load as they are.
"""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

import pydantic
import torch
from huggingface_hub import ModelCard, ModelHubMixin, snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from pc_crvae.errors import UserError, reason_of
from pc_crvae.models.half_precision import halved_matrices
from pc_crvae.models.model_card import saved_card
from pc_crvae.models.outline import LargerModelError, shapes_of
from pc_crvae.models.vae import device_of, encode_parts, evaluating
from pc_crvae.objectives.base import LatentVariableModel
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.utils.files import atomic_path
from pc_crvae.utils.validation import describe
from pc_crvae.version import __version__

FORMAT_VERSION = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "config.json"
EXPORT_FILES = (WEIGHTS, DESCRIPTION)

_DIGESTS = "sha256"
"""The key of ``config.json`` that holds the SHA-256 of both files, the other keys of itself."""

_MOST_DESCRIPTION = 2**24  # bytes

ENCODED_AT_ONCE = 64  # items


class Pretrained(LatentVariableModel, ModelHubMixin):
    """A model that is saved to a folder and loaded from it, or from the Hugging Face Hub."""

    Description: ClassVar[type[pydantic.BaseModel]]
    """The fields of a saved model's ``config.json`` from which the model is made again."""

    modality: ClassVar[Literal["point-clouds", "images"]]
    """What the model is a model of, as its card says."""

    made: ClassVar[str] = "It was trained without labels."
    """How the model came to be, in a sentence of its card."""

    data: dict[str, Any]
    """What the model was trained on, carried along in exports."""

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return device_of(self)

    def encode(self, x: Tensor) -> Tensor:
        """Posterior means (B, D) of a batch prepared as in training, on the CPU."""
        parts = torch.split(x, ENCODED_AT_ONCE)
        return encode_parts(self, parts, lambda part: {"mean": self.posterior(part).mean})["mean"]

    def vectors(self, x: Tensor) -> Tensor:
        """What a batch prepared as in training is embedded as: (B, D) on the CPU."""
        return self.encode(x)

    def reconstructions(self, x: Tensor, seed: int = 0) -> Tensor:
        """What one sample of each posterior decodes to, for a batch prepared as in training."""
        draws = Draws(keyed_generator("reconstructions", seed, device=self.device), len(x))
        with evaluating(self):
            path = self.posterior(x.to(self.device)).sample(draws)
            return self.likelihood(path).mean.cpu()

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """The model's part of ``config.json``: at least the fields of `Description`."""

    @classmethod
    def from_description(cls, description: pydantic.BaseModel) -> Self:
        """Make the model, with random weights, that a checked `Description` describes."""
        return cls(**dict(description))

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """What tells models of this class apart, for the ``repr``."""

    @abstractmethod
    def abilities(self) -> Iterator[str]:
        """What the model can do, what it takes no notice of, and what it cannot: sentences."""

    def generate_model_card(
        self, *, name: str | None = None, figures: str = "", protocol: str = "", **_: Any
    ) -> ModelCard:
        """Make the card that `save_pretrained` writes, as Markdown with a header for the hub.

        Args:
            name: what the model is called, by default as its class.
            figures: what was measured, in Markdown, such as
                :meth:`pc_crvae.evaluation.tables.Table.markdown` gives it.
            protocol: a paragraph that says how the figures were measured.
        """
        text = saved_card(
            name or type(self).__name__,
            what=repr(self),
            made=self.made,
            modality=self.modality,
            data=self.data,
            abilities=self.abilities(),
            figures=figures,
            protocol=protocol,
        )
        return ModelCard(text)

    def __repr__(self) -> str:
        """One line, where torch would print a page of modules."""
        parameters = sum(parameter.numel() for parameter in self.parameters())
        told = [f"{name}={value}" for name, value in self.parts().items()]
        return f"{type(self).__name__}({', '.join(told)}, parameters={parameters:,})"

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        half: bool = False,
        push_to_hub: bool = False,
        repo_id: str | None = None,
        model_card_kwargs: dict[str, Any] | None = None,
        **push_options: Any,
    ) -> str | None:
        """Save weights, configuration and a model card to a folder, and push it if asked to.

        Args:
            save_directory: the folder.
            half: keep the matrices of weights as float16, in half of the bytes.
            push_to_hub: whether to push the folder to the Hugging Face Hub.
            repo_id: ``user/name`` there, by default the name of the folder.
            model_card_kwargs: what `generate_model_card` takes, such as ``figures``.
            push_options: the options of the mixin's ``push_to_hub``.

        Returns:
            The address of the pushed commit, None without one.

        Raises:
            UserError: if the folder cannot be written, or a weight is too large for half
                precision; a model saved there before stays.
        """
        # The mixin's own method removes the old config.json before anything is written.
        folder = Path(save_directory)
        write_export(self, folder, half=half)
        card = folder / "README.md"
        if not card.exists():
            about = {"name": folder.name} | (model_card_kwargs or {})
            text = str(self.generate_model_card(**about))
            with atomic_path(card) as temporary:
                temporary.write_text(text, encoding="utf-8")
        if not push_to_hub:
            return None
        return self.push_to_hub(
            repo_id or folder.name, model_card_kwargs=model_card_kwargs, **push_options
        )

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, **download_options: Any
    ) -> Self:
        """Load a model from a folder or, where there is no such folder, from the Hugging Face Hub.

        Args:
            pretrained_model_name_or_path: a folder, or ``user/name`` on the hub.
            download_options: the options of `huggingface_hub.snapshot_download`, such as
                ``revision``.

        Raises:
            UserError: if there is no model, or it is damaged or of another class.
        """
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            try:
                folder = Path(
                    snapshot_download(
                        str(pretrained_model_name_or_path),
                        allow_patterns=list(EXPORT_FILES),
                        **download_options,
                    )
                )
            except (HFValidationError, OSError) as error:
                raise UserError(
                    f"{pretrained_model_name_or_path} is neither a folder nor a model that "
                    f"the Hugging Face Hub gave ({type(error).__name__}): check the path"
                ) from error
        return read_export(folder, cls)


Model = TypeVar("Model", bound=Pretrained)


def write_export(model: Pretrained, folder: Path, *, half: bool = False) -> None:
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


def mend_export(model: Pretrained, folder: Path) -> None:
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
        try:
            weights = path.read_bytes()
        except FileNotFoundError:
            raise UserError(f"{folder} holds no {WEIGHTS}: it is not a saved model") from None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}") from None
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
        try:
            weights = load(self.weights)
        except (SafetensorError, ValueError) as error:
            raise UserError(
                f"{path} is damaged ({error}): restore it from a copy, or use another checkpoint"
            ) from None
        found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
        try:
            expected = shapes_of(lambda: model_class.from_description(described), weights)
        except LargerModelError as error:
            raise self._of_another_model(str(error)) from None
        except UserError:
            raise
        except (ValueError, RuntimeError) as error:  # the latter of sizes that overflow
            said = reason_of(error)
            raise UserError(f"{self.folder / DESCRIPTION} describes no model: {said}") from None
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

    def _described(self, model_class: type[Pretrained]) -> pydantic.BaseModel:
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
        try:
            # JSON mode is strict about types yet takes a list for a tuple.
            described = model_class.Description.model_validate_json(json.dumps(description))
        except pydantic.ValidationError as error:
            raise UserError(describe(error, str(path), model_class.Description)) from None
        recorded = _recorded_digests(description).get(DESCRIPTION)
        if recorded not in (None, _digest_of(description)):
            raise UserError(
                f"{path} is damaged (it is not as it was written): restore it from a copy, use "
                f'another checkpoint, or, if you changed it yourself, remove its "{_DIGESTS}"'
            )
        return described


def read_export(folder: Path, model_class: type[Model]) -> Model:
    """Read what `write_export` wrote, in evaluation mode, on the CPU.

    Raises:
        UserError: if a file is missing or damaged, or holds another model.
    """
    return SavedExport.read(folder).read_as(model_class)


def recorded_sha256(folder: Path) -> str | None:
    """The SHA-256 of the weights that a saved model was written with; None of those of 0.1.

    Raises:
        UserError: its description is missing or damaged.
    """
    recorded = _recorded_digests(_read_json(folder / DESCRIPTION)).get(WEIGHTS)
    return None if recorded is None else str(recorded)


def _files_of(model: Pretrained, *, half: bool = False) -> tuple[bytes, bytes]:
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
    try:
        if path.stat().st_size > _MOST_DESCRIPTION:
            raise UserError(f"{path} is damaged: no description of a model is so large")
        return json.loads(path.read_text(encoding="utf-8"))
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):  # the latter where it is nested a thousand deep
        raise UserError(f"{path} is damaged: it is not JSON") from None
