"""The point-cloud model as a user holds it: embed, reconstruct, sample, interpolate, save."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from huggingface_hub import ModelHubMixin, snapshot_download
from torch import Tensor

from pc_crvae.config import ModelConfig
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
        clouds = torch.as_tensor(points, dtype=torch.float64)
        if not _is_batch(points):
            clouds = clouds[None]
        if clouds.ndim != 3 or clouds.shape[-1] != 3 or clouds.shape[1] == 0:
            raise ValueError(f"points must be (N, 3) or (B, N, 3), not {tuple(points.shape)}")
        if not torch.isfinite(clouds).all():
            raise ValueError("points hold NaN or infinite coordinates")
        centers = clouds.mean(dim=1, keepdim=True)
        radii = (clouds - centers).norm(dim=-1).amax(dim=1)[:, None, None]
        if (radii == 0).any():
            raise ValueError("a cloud whose points all coincide has no shape to embed")
        return ((clouds - centers) / radii).float(), centers.float(), radii.float()

    def _save_pretrained(self, save_directory: Path) -> None:
        from pc_crvae.export import write_export

        write_export(self, save_directory)

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        **model_kwargs: Any,
    ) -> Self:
        from pc_crvae.export import EXPORT_FILES, read_export

        folder = Path(model_id)
        if not folder.is_dir():
            folder = Path(
                snapshot_download(
                    model_id,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                    allow_patterns=list(EXPORT_FILES),
                )
            )
        return read_export(folder, cls)


def _is_batch(points: Cloud | Sequence[Any]) -> bool:
    return np.ndim(points) == 3
