"""A model of point clouds as a user holds it: clouds in any position and size in, vectors out."""

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from pc_crvae.models.pretrained import Pretrained

Cloud = Tensor | np.ndarray
"""(N, 3) or (B, N, 3)."""


class PointModel(Pretrained):
    """A model that embeds point clouds, whatever else it does."""

    modality = "point-clouds"
    input: ClassVar = {"up": "z", "normalization": "mean at 0, largest radius 1"}

    points: int
    """The point count that the model is made for."""

    latent_dim: int
    """The size of a posterior's mean, or of a descriptor's features."""

    @property
    def vector_size(self) -> int:
        """The size of the vector that a cloud is embedded as."""
        return self.latent_dim

    def embed(self, points: Cloud) -> Tensor:
        """The vector of clouds in any position and size.

        Of a VAE it is the posterior mean, or what ``model.embedding`` of its config says.

        Args:
            points: (N, 3) or (B, N, 3), z up; normalised here as in training.

        Returns:
            (D,) or (B, D) float32 on the CPU.

        Raises:
            ValueError: on another shape, non-finite coordinates, or a cloud of one place.
        """
        clouds, _, _ = self._prepare(points)
        vectors = self.vectors(clouds)
        return vectors if is_batch(points) else vectors[0]

    def _prepare(self, points: Cloud) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised clouds (B, N, 3) float32; centres (B, 1, 3) and radii (B, 1, 1) float64."""
        if isinstance(points, Tensor):
            points = points.detach().cpu().numpy()
        # A copy, because torch takes no array with negative strides.
        clouds = torch.from_numpy(np.array(points, dtype=np.float64))
        if not is_batch(points):
            clouds = clouds[None]
        if clouds.ndim != 3 or clouds.shape[-1] != 3 or clouds.shape[1] == 0:
            raise ValueError(f"points must be (N, 3) or (B, N, 3), not {tuple(points.shape)}")
        if not torch.isfinite(clouds).all():
            raise ValueError("points hold NaN or infinite coordinates")
        if (clouds == clouds[:, :1]).all(dim=2).all(dim=1).any():
            raise ValueError("a cloud whose points all coincide has no shape to embed")
        # By a power of two first, which is exact, so that squares of tiny and huge clouds stay in
        # range.
        exponents = np.frexp(clouds.abs().amax(dim=(1, 2), keepdim=True).numpy())[1]
        clouds = torch.from_numpy(np.ldexp(clouds.numpy(), -exponents))
        centers = clouds.mean(dim=1, keepdim=True)
        radii = (clouds - centers).norm(dim=-1).amax(dim=1)[:, None, None]
        units = ((clouds - centers) / radii).float()
        placed = (torch.from_numpy(np.ldexp(part.numpy(), exponents)) for part in (centers, radii))
        return (units, *placed)


def is_batch(points: Cloud) -> bool:
    """Whether ``points`` are several clouds, (B, N, 3), rather than one."""
    return np.ndim(points) == 3
