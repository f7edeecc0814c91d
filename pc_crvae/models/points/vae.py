"""The point-cloud model as a user holds it: embed, reconstruct, sample, interpolate, save."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, cast

import numpy as np
import pydantic
import torch
from torch import Tensor, nn

from pc_crvae.config import PointModelConfig, plain
from pc_crvae.models.points.build import build_decoder, build_encoder, build_likelihood
from pc_crvae.models.pretrained_vae import PretrainedVAE
from pc_crvae.models.vae import PosteriorHead

Cloud = Tensor | np.ndarray
"""(N, 3) or (B, N, 3)."""


class _Description(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)

    architecture: PointModelConfig
    posterior: Literal["gaussian", "code"]
    points: Annotated[int, pydantic.Field(ge=1)]
    data: dict[str, Any]


class PointVAE(PretrainedVAE):
    """A VAE (or plain auto-encoder) of point clouds.

    Args:
        architecture: encoder, head, latent size, decoder and likelihood.
        posterior: ``gaussian``, or ``code`` for a plain auto-encoder.
        points: the point count the model is trained with.
        data: what it was trained on, carried along in exports: name, up axis.
    """

    Description = _Description

    def __init__(
        self,
        architecture: PointModelConfig,
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
            cast(nn.Module, encoder),
            head,
            build_decoder(architecture),
            build_likelihood(architecture),
            architecture.latent_dim,
        )
        self.architecture = architecture
        self.posterior_kind: Literal["gaussian", "code"] = posterior
        self.points = points
        self.data = data or {}

    def description(self) -> dict[str, Any]:
        """What makes the model again, and what it takes."""
        return {
            "architecture": plain(self.architecture),
            "posterior": self.posterior_kind,
            "points": self.points,
            "input": {"up": "z", "normalization": "mean at 0, largest radius 1"},
            "data": self.data,
        }

    @classmethod
    def from_description(cls, description: _Description) -> Self:
        """Make the described model, with random weights."""
        return cls(
            description.architecture,
            posterior=description.posterior,
            points=description.points,
            data=description.data,
        )

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

        A model that is blind to turns (``frames``), or learnt to be by the original as target,
        gives a turned shape back as its training shapes face.

        Args:
            points: (N, 3) or (B, N, 3), z up.

        Returns:
            (M, 3) or (B, M, 3) float32 on the CPU.
        """
        clouds, centers, radii = self._prepare(points)
        decoded = self.decode(self.encode(clouds)) * radii + centers
        return decoded if _is_batch(points) else decoded[0]

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


def _is_batch(points: Cloud | Sequence[Any]) -> bool:
    return np.ndim(points) == 3
