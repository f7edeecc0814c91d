"""Basis point sets: how far a cloud is from each of some fixed points."""

import numpy as np
import torch
from torch import Tensor, nn

from pc_crvae.geometry import nearest_neighbors
from pc_crvae.models.checks import check_clouds, check_positive
from pc_crvae.randomness.keys import keyed_numpy_generator


class BasisPointSet(nn.Module):
    """Distances from fixed basis points to a cloud (Prokudin et al. 2019, arXiv 1908.09186).

    The basis is drawn uniformly from the unit ball, which holds every prepared cloud. The features
    are smooth in the points and do not depend on how many there are, nor on their order.

    Args:
        basis: the number of basis points, which is ``out_features``.
        seed: the seed of the basis.
    """

    basis: Tensor

    def __init__(self, basis: int = 1024, seed: int = 0) -> None:
        check_positive("BasisPointSet", basis=basis)
        super().__init__()
        rng = keyed_numpy_generator("basis points", seed)
        directions = rng.normal(size=(basis, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        radii = rng.uniform(size=(basis, 1)) ** (1 / 3)
        self.register_buffer("basis", torch.from_numpy((directions * radii).astype(np.float32)))
        self.out_features = basis

    def forward(self, points: Tensor) -> Tensor:
        """Return the distance from each basis point to the nearest of ``points`` (B, N, 3): (B, F).

        Raises:
            ValueError: the shape is another.
        """
        check_clouds(points)
        basis = self.basis.to(points.dtype).expand(len(points), -1, -1)
        nearest = nearest_neighbors(basis, points)
        places = torch.gather(points, 1, nearest.unsqueeze(2).expand(-1, -1, 3))
        distances: Tensor = (basis - places).norm(dim=2)
        return distances
