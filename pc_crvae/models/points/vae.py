"""The point-cloud model as a user holds it: embed, reconstruct, sample, interpolate, save."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from huggingface_hub import ModelHubMixin, snapshot_download
from huggingface_hub.errors import HFValidationError
from torch import Tensor

from pc_crvae.config import ModelConfig
from pc_crvae.errors import UserError
from pc_crvae.export import EXPORT_FILES, read_export, write_export
from pc_crvae.files import atomic_path
from pc_crvae.interpolation import InterpolationKind, interpolate_latents
from pc_crvae.models.points.build import build_decoder, build_encoder, build_likelihood
from pc_crvae.models.vae import VAE, PosteriorHead, evaluating
from pc_crvae.randomness import keyed_generator

Cloud = Tensor | np.ndarray
"""(N, 3) or (B, N, 3)."""

_CHUNK = 64  # clouds encoded or decoded at once


class PointVAE(VAE, ModelHubMixin):
    """A VAE (or plain auto-encoder) of point clouds.

    Args:
        architecture: encoder, head, latent size, decoder and likelihood.
        posterior: ``gaussian``, or ``code`` for a plain auto-encoder.
        points: the point count the model is trained with.
        data: what it was trained on, carried along in exports: name, up axis.
    """

    def __init__(
        self,
        architecture: ModelConfig,
        *,
        posterior: Literal["gaussian", "code"] = "gaussian",
        points: int = 1024,
        data: dict[str, Any] | None = None,
    ) -> None:
        encoder = build_encoder(architecture)
        head = PosteriorHead(
            encoder.out_features,
            architecture.latent_dim,
            posterior=posterior,
            **dict(architecture.head),
        )
        super().__init__(
            encoder,
            head,
            build_decoder(architecture),
            build_likelihood(architecture),
            architecture.latent_dim,
        )
        self.architecture = architecture
        self.posterior_kind: Literal["gaussian", "code"] = posterior
        self.points = points
        self.data = data or {}

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return self.head.mean.weight.device

    def embed(self, points: Cloud) -> Tensor:
        """The posterior mean of clouds in any position and size.

        Args:
            points: (N, 3) or (B, N, 3), z up; normalised here as in training.

        Returns:
            (D,) or (B, D) float32 on the CPU.

        Raises:
            ValueError: on another shape, non-finite coordinates, or a cloud of one place.
        """
        clouds, _, _ = self._prepare(points)
        means = self.encode(clouds)
        return means if _is_batch(points) else means[0]

    def reconstruct(self, points: Cloud) -> Tensor:
        """Encode to the posterior mean and decode, in the position and size of the input.

        Args:
            points: (N, 3) or (B, N, 3), z up.

        Returns:
            (M, 3) or (B, M, 3) float32 on the CPU.
        """
        clouds, centers, radii = self._prepare(points)
        decoded = self.decode(self.encode(clouds)) * radii + centers
        return decoded if _is_batch(points) else decoded[0]

    def decode(self, latents: Tensor) -> Tensor:
        """Clouds (B, M, 3) of ``latents`` (B, D), normalised, float32 on the CPU."""
        with evaluating(self):
            return torch.cat(
                [self.decoder(part.to(self.device)).cpu() for part in torch.split(latents, _CHUNK)]
            )

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """Decode ``count`` draws of the prior: (count, M, 3) float32 on the CPU.

        Raises:
            ValueError: for a plain auto-encoder, which has no prior.
        """
        if self.posterior_kind == "code":
            raise ValueError("a plain auto-encoder has no prior to sample from")
        generator = keyed_generator("sample", seed)
        return self.decode(torch.randn(count, self.latent_dim, generator=generator))

    def interpolate(
        self, start: Cloud, end: Cloud, steps: int = 9, kind: InterpolationKind = "spherical"
    ) -> Tensor:
        """Clouds along the path between two shapes' posterior means.

        Args:
            start: (N, 3).
            end: (N', 3).
            steps: clouds returned, both ends included.
            kind: ``spherical`` or ``linear``, see `pc_crvae.interpolation`.

        Returns:
            (steps, M, 3) float32 on the CPU, normalised.
        """
        return self.decode(interpolate_latents(self.embed(start), self.embed(end), steps, kind))

    def encode(self, clouds: Tensor) -> Tensor:
        """Posterior means (B, D) of clouds (B, N, 3) already normalised, on the CPU."""
        with evaluating(self):
            return torch.cat(
                [
                    self.posterior(part.to(self.device)).mean.cpu()
                    for part in torch.split(clouds, _CHUNK)
                ]
            )

    def _prepare(self, points: Cloud) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised clouds (B, N, 3), their centres (B, 1, 3) and radii (B, 1, 1)."""
        if isinstance(points, Tensor):
            points = points.detach().cpu().numpy()
        # A copy, because torch takes no array with negative strides.
        clouds = torch.from_numpy(np.array(points, dtype=np.float64))
        if not _is_batch(points):
            clouds = clouds[None]
        if clouds.ndim != 3 or clouds.shape[-1] != 3 or clouds.shape[1] == 0:
            raise ValueError(f"points must be (N, 3) or (B, N, 3), not {tuple(points.shape)}")
        if not torch.isfinite(clouds).all():
            raise ValueError("points hold NaN or infinite coordinates")
        if (clouds == clouds[:, :1]).all(dim=2).all(dim=1).any():
            raise ValueError("a cloud whose points all coincide has no shape to embed")
        centers = clouds.mean(dim=1, keepdim=True)
        radii = (clouds - centers).norm(dim=-1).amax(dim=1)[:, None, None]
        return ((clouds - centers) / radii).float(), centers.float(), radii.float()

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


def _is_batch(points: Cloud | Sequence[Any]) -> bool:
    return np.ndim(points) == 3
