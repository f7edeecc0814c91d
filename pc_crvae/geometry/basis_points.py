"""Basis points: fixed places in the unit ball, and how far a cloud is from each."""

import numpy as np
import torch
from torch import Tensor

from pc_crvae.geometry.neighbors import nearest_neighbors
from pc_crvae.randomness.keys import keyed_numpy_generator


def basis_points(count: int, seed: int = 0) -> Tensor:
    """Draw points uniformly from the unit ball, which holds every prepared cloud.

    Args:
        count: the number of points.
        seed: the seed that fixes them.

    Returns:
        (count, 3) float32.
    """
    rng = keyed_numpy_generator("basis points", seed)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    radii = rng.uniform(size=(count, 1)) ** (1 / 3)
    return torch.from_numpy((directions * radii).astype(np.float32))


def distances_to_clouds(basis: Tensor, clouds: Tensor) -> Tensor:
    """Return how far each basis point is from the nearest point of each cloud.

    It is the description of a cloud of Prokudin et al. 2019 (arXiv 1908.09186).

    Args:
        basis: (F, 3).
        clouds: (B, N, 3), whose dtype is that of the result.

    Returns:
        (B, F).

    Raises:
        ValueError: clouds without points, or of another shape.
    """
    places = basis.to(clouds.dtype).expand(len(clouds), -1, -1)
    nearest = nearest_neighbors(places, clouds)
    found = torch.gather(clouds, 1, nearest.unsqueeze(2).expand(-1, -1, 3))
    distances: Tensor = (places - found).norm(dim=2)
    return distances
