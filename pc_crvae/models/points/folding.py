"""FoldingNet's decoder: a fixed set of source points, folded into a surface by the latent."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.geometry.kernels import kernels_for
from pc_crvae.models.checks import check_latent, check_positive
from pc_crvae.models.registry import POINT_DECODERS
from pc_crvae.randomness.draws import keyed_generator

Source = Literal["plane", "sphere", "gaussian"]


@POINT_DECODERS.register("folding")
class FoldingDecoder(nn.Module):
    """Folding-based decoder (Yang et al. 2018, arXiv 1712.07262, section 2.2).

    The first fold moves the source points, each later one the points the fold before it made.

    Args:
        latent_dim: L.
        source: ``plane`` is the paper's grid; see :func:`source_points`.
        points: M, the size of the clouds made.
        widths: hidden widths of each fold.
        folds: number of folds, two in the paper.

    Raises:
        ValueError: a size is not positive, the source is unknown, or ``points`` is a prime
            number and the source a plane.
    """

    source_points: Tensor

    def __init__(
        self,
        latent_dim: int,
        source: Source = "plane",
        points: int = 2025,
        widths: Sequence[int] = (512, 512),
        folds: int = 2,
    ) -> None:
        check_positive(
            "FoldingDecoder", latent_dim=latent_dim, points=points, widths=widths, folds=folds
        )
        super().__init__()
        self.register_buffer("source_points", source_points(source, points))
        in_dims = [self.source_points.shape[1]] + [3] * (folds - 1)
        self.folds = nn.ModuleList(Fold(latent_dim, in_dim, widths) for in_dim in in_dims)
        self.latent_dim = latent_dim
        self.out_points = points

    def forward(self, latent: Tensor) -> Tensor:
        """Decode ``latent`` (B, L) to clouds (B, M, 3).

        Raises:
            ValueError: ``latent`` has another shape.
        """
        check_latent(latent, self.latent_dim)
        points = self.source_points.unsqueeze(0)  # (1, M, D), the same for every cloud
        for fold in self.folds:
            points = fold(latent, points)
        return points


class Fold(nn.Module):
    """A perceptron with ReLU on ``[latent ; point]``, giving each point a new place in space.

    The first layer's product with the latent is computed once a cloud, not once a point:
    ``W [z ; p] = W_z z + W_p p``.

    Args:
        latent_dim: L.
        point_dim: D, the dimension of the points that are folded.
        widths: hidden widths.
    """

    def __init__(self, latent_dim: int, point_dim: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.first = nn.Linear(latent_dim + point_dim, widths[0])
        layers: list[nn.Module] = [nn.ReLU()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.rest = nn.Sequential(*layers, nn.Linear(widths[-1], 3))

    def forward(self, latent: Tensor, points: Tensor) -> Tensor:
        """Fold ``points`` (B or 1, M, D) under ``latent`` (B, L) to (B, M, 3)."""
        latent_weight, point_weight = self.first.weight.tensor_split([latent.shape[1]], dim=1)
        latent_terms = F.linear(latent, latent_weight, self.first.bias)  # (B, C)
        linears = [layer for layer in self.rest if isinstance(layer, nn.Linear)]
        layers = [(layer.weight, layer.bias) for layer in linears]
        return kernels_for(points.device).fold(latent_terms, points, point_weight, layers)


def source_points(source: Source, count: int) -> Tensor:
    """Return the ``count`` points that are folded, float32 on the CPU, the same at every call.

    The device is named at every step: on the meta device, on which an outline of a model is built,
    PyTorch would take a second to load its compiler.

    - ``plane``: (count, 2), a regular grid on [-0.3, 0.3]^2, as near to a square as ``count``
      factors: 2025 is 45 x 45, 484 is 22 x 22, 2048 is 32 x 64.
    - ``sphere``: (count, 3), a Fibonacci lattice on the unit sphere.
    - ``gaussian``: (count, 3), one draw of a standard normal.

    Raises:
        ValueError: the source is unknown, or ``count`` is a prime number and the source a plane.
    """
    if source == "plane":
        return _plane_grid(count)
    if source == "sphere":
        return _fibonacci_sphere(count)
    if source == "gaussian":
        return torch.randn(count, 3, generator=keyed_generator("folding source"), device="cpu")
    raise ValueError(f"the source must be plane, sphere or gaussian, got {source}")


def _plane_grid(count: int) -> Tensor:
    rows = max(rows for rows in range(1, math.isqrt(count) + 1) if count % rows == 0)
    if rows == 1:
        raise ValueError(
            f"{count} points make no grid: take a number that factors, such as 2025 = 45 x 45"
        )
    first = torch.linspace(-0.3, 0.3, rows, device="cpu")
    second = torch.linspace(-0.3, 0.3, count // rows, device="cpu")
    return torch.cartesian_prod(first, second)


def _fibonacci_sphere(count: int) -> Tensor:
    """Points of equal area each, along a spiral that advances by the golden angle."""
    index = torch.arange(count, dtype=torch.float64, device="cpu")
    z = 1 - (2 * index + 1) / count
    radius = torch.sqrt(1 - z.square())
    longitude = math.pi * (3 - math.sqrt(5)) * index
    spiral = torch.stack([radius * longitude.cos(), radius * longitude.sin(), z], dim=1)
    return spiral.float()
