"""Models as a user holds them, whatever their modality: encoding, saving, loading."""

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any, ClassVar, Literal, Self

import pydantic
import torch
from huggingface_hub import ModelCard, ModelHubMixin, snapshot_download
from huggingface_hub.errors import HFValidationError
from torch import Tensor

from pc_crvae.errors import UserError
from pc_crvae.models.exports import EXPORT_FILES, SavedExport, write_export
from pc_crvae.models.vae import device_of, encode_parts, evaluating
from pc_crvae.objectives.base import LatentVariableModel
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.utils.files import write_text
from pc_crvae.utils.templates import filled

ENCODED_AT_ONCE = 64  # items, or codes that are decoded


class Description(pydantic.BaseModel):
    """The fields of a saved model's ``config.json`` from which the model is made again."""

    model_config = pydantic.ConfigDict(strict=True)

    data: dict[str, Any]


class Pretrained(LatentVariableModel, ModelHubMixin):
    """A model that is saved to a folder and loaded from it, or from the Hugging Face Hub."""

    Description: ClassVar[type[Description]]
    """The fields of a saved model's ``config.json`` from which the model is made again."""

    modality: ClassVar[Literal["point-clouds", "images"]]
    """What the model is a model of, as its card says."""

    made: ClassVar[str] = "It was trained without labels."
    """How the model came to be, in a sentence of its card."""

    input: ClassVar[dict[str, Any]]
    """What the model takes, as ``config.json`` says."""

    data: dict[str, Any]
    """What the model was trained on, carried along in exports."""

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return device_of(self)

    def encode(self, x: Tensor) -> Tensor:
        """Posterior means (B, D) of a batch prepared as in training, on the CPU."""
        return self.in_parts(x, lambda part: self.posterior(part).mean)

    def in_parts(self, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """What ``function`` makes of a batch, part after part, in evaluation mode; on the CPU."""
        parts = torch.split(x, ENCODED_AT_ONCE)
        return encode_parts(self, parts, lambda part: {"made": function(part)})["made"]

    def vectors(self, x: Tensor) -> Tensor:
        """What `embed` gives of a batch prepared as in training: (B, D) on the CPU."""
        return self.encode(x)

    def reconstructions(self, x: Tensor, seed: int = 0) -> Tensor:
        """What one sample of each posterior decodes to, for a batch prepared as in training."""
        draws = Draws(keyed_generator("reconstructions", seed, device=self.device), len(x))
        with evaluating(self):
            path = self.posterior(x.to(self.device)).sample(draws)
            return self.likelihood(path).mean.cpu()

    def description(self) -> dict[str, Any]:
        """The model's part of ``config.json``: the fields of `Description`, and the input."""
        return self._described()

    def _described(self, **others: Any) -> dict[str, Any]:
        """The same, of the model's attributes, but for others that go by another name."""
        names = (name for name in self.Description.model_fields if name not in others)
        fields = {name: getattr(self, name) for name in names}
        described = self.Description.model_construct(**fields, **others)
        return described.model_dump(mode="json", by_alias=True) | {"input": self.input}

    @classmethod
    def from_description(cls, description: pydantic.BaseModel) -> Self:
        """Make the model, with random weights, that a checked `Description` describes."""
        return cls(**dict(description))

    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """What tells models of this class apart, for the ``repr``."""

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
        about = {"name": name or type(self).__name__, "figures": figures, "protocol": protocol}
        text = filled(__file__, "model_card.md", model=self, set_name=_set_name, **about)
        return ModelCard(text + "\n")

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
            write_text(card, str(self.generate_model_card(**about)))
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
        return SavedExport.read(folder).read_as(cls)


def _set_name(name: str) -> str:
    """The name of a data set; a card of one's own goes by its path, which is nobody else's."""
    path = PurePath(name)
    return path.stem if path.suffix in (".yaml", ".yml") else name
