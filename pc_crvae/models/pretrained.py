"""Models as a user holds them, whatever their modality: encoding, saving, loading.

A saved model is a folder with ``model.safetensors`` and ``config.json``. Nothing is unpickled; a
model of another class or format, or with other weights, is rejected.
"""

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import pydantic
import torch
from huggingface_hub import ModelHubMixin, snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from pc_crvae.errors import UserError
from pc_crvae.models.vae import device_of, encode_parts, evaluating
from pc_crvae.objectives.base import LatentVariableModel
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.utils.files import atomic_path
from pc_crvae.utils.validation import describe
from pc_crvae.version import __version__

FORMAT_VERSION = 1
WEIGHTS, DESCRIPTION = "model.safetensors", "config.json"
EXPORT_FILES = (WEIGHTS, DESCRIPTION)

ENCODED_AT_ONCE = 64  # items


class Pretrained(LatentVariableModel, ModelHubMixin):
    """A model that is saved to a folder and loaded from it, or from the Hugging Face Hub."""

    Description: ClassVar[type[pydantic.BaseModel]]
    """The fields of a saved model's ``config.json`` from which the model is made again."""

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

    def __repr__(self) -> str:
        """One line, where torch would print a page of modules."""
        parameters = sum(parameter.numel() for parameter in self.parameters())
        told = [f"{name}={value}" for name, value in self.parts().items()]
        return f"{type(self).__name__}({', '.join(told)}, parameters={parameters:,})"

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        push_to_hub: bool = False,
        repo_id: str | None = None,
        model_card_kwargs: dict[str, Any] | None = None,
        **push_options: Any,
    ) -> str | None:
        """Save weights, configuration and a model card to a folder, and push it if asked to.

        Returns:
            The address of the pushed commit, None without one.

        Raises:
            UserError: if the folder cannot be written; a model saved there before stays.
        """
        # The mixin's own method removes the old config.json before anything is written.
        folder = Path(save_directory)
        write_export(self, folder)
        card = folder / "README.md"
        if not card.exists():
            text = str(self.generate_model_card(**(model_card_kwargs or {})))
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
                    f"{pretrained_model_name_or_path} is neither a folder nor a model that could "
                    f"be had from the Hugging Face Hub ({type(error).__name__}): check the path"
                ) from error
        return read_export(folder, cls)


Model = TypeVar("Model", bound=Pretrained)


def write_export(model: Pretrained, folder: Path) -> None:
    """Write ``model`` to ``folder``: both files whole, or neither.

    Raises:
        UserError: if it cannot be written; what was there stays.
    """
    weights = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
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
        expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
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


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{path} is damaged: it is not JSON") from None


def _read_description(path: Path, model_class: type[Pretrained]) -> pydantic.BaseModel:
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
