"""What a model as a user holds it shares, whatever it is a model of: decoding, saving, loading."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from huggingface_hub import ModelHubMixin, snapshot_download
from huggingface_hub.errors import HFValidationError
from pydantic import BaseModel
from torch import Tensor

from pc_crvae.errors import UserError
from pc_crvae.export import EXPORT_FILES, read_export, write_export
from pc_crvae.latents.interpolation import InterpolationKind, interpolate_latents
from pc_crvae.models.vae import VAE, evaluating
from pc_crvae.objectives.base import LatentVariableModel
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.utils.files import atomic_path

_CHUNK = 64  # items encoded or decoded at once


class Pretrained(LatentVariableModel, ModelHubMixin):
    """A model that is saved to a folder and loaded from it, or from the Hugging Face Hub."""

    Description: ClassVar[type[BaseModel]]
    """What of a saved model's ``config.json`` makes the model again."""

    data: dict[str, Any]
    """What it was trained on, carried along in exports."""

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return next(self.parameters()).device

    def encode(self, x: Tensor) -> Tensor:
        """Posterior means (B, D) of a batch prepared as in training, on the CPU."""
        with evaluating(self):
            return torch.cat(
                [self.posterior(part.to(self.device)).mean.cpu() for part in torch.split(x, _CHUNK)]
            )

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
    @abstractmethod
    def from_description(cls, description: Any) -> Self:
        """Make the model, with random weights, that a checked `Description` describes."""

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
            download_options: of `huggingface_hub.snapshot_download`, such as ``revision``.

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


class PretrainedVAE(VAE, Pretrained, ABC):
    """A `VAE` that is used as it is held: observations in, latents and observations out."""

    @property
    def has_prior(self) -> bool:
        """Whether it is a VAE rather than a plain auto-encoder."""
        return self.head.log_variance is not None

    @abstractmethod
    def embed(self, x: Any) -> Tensor:
        """The posterior mean of one observation or a batch, as the user has them."""

    def decode(self, latents: Tensor) -> Tensor:
        """Observations of ``latents`` (B, D), prepared as in training, float32 on the CPU."""
        with evaluating(self):
            return torch.cat(
                [
                    self.likelihood((part.to(self.device),)).mean.cpu()
                    for part in torch.split(latents, _CHUNK)
                ]
            )

    def reconstructions(self, x: Tensor, seed: int = 0) -> Tensor:
        """What the posterior mean of each item decodes to; nothing is drawn."""
        return self.decode(self.encode(x))

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """Decode ``count`` draws of the prior: (count, ...) float32 on the CPU.

        Raises:
            ValueError: for a plain auto-encoder, which has no prior.
        """
        if not self.has_prior:
            raise ValueError("a plain auto-encoder has no prior to sample from")
        generator = keyed_generator("sample", seed)
        return self.decode(torch.randn(count, self.latent_dim, generator=generator))

    def interpolate(
        self, start: Any, end: Any, steps: int = 9, kind: InterpolationKind = "spherical"
    ) -> Tensor:
        """Observations along the path between two ones' posterior means.

        Args:
            start: one observation, as `embed` takes it.
            end: another.
            steps: how many are returned, both ends included.
            kind: ``spherical`` or ``linear``, see `pc_crvae.latents.interpolation`.

        Returns:
            (steps, ...) float32 on the CPU, as `decode` gives them.
        """
        return self.decode(interpolate_latents(self.embed(start), self.embed(end), steps, kind))
