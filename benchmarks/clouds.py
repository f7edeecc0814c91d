"""The clouds that are measured on, the same in every run."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pc_crvae.data.clouds import normalize
from pc_crvae.data.procedural.shapes import make_shapes
from pc_crvae.randomness.draws import keyed_generator
from pc_crvae.randomness.keys import keyed_numpy_generator

SPREAD = "points drawn independently and uniformly from the surfaces of procedural shapes, radius 1"
COLLAPSED = "all points within 0.001 of one place, which an untrained decoder's clouds resemble"


@dataclass(frozen=True)
class Sizes:
    """How large the operators' inputs are.

    Attributes:
        batch: clouds.
        points: points a cloud.
        feature_points: points of a cloud whose neighbours are sought in feature space.
        scaling: numbers of points a cloud, rising.
        largest_reference: the largest of them at which the textbook form is measured too.
    """

    batch: int
    points: int
    feature_points: int
    scaling: tuple[int, ...]
    largest_reference: int


FULL = Sizes(8, 2048, 1024, tuple(2**power for power in range(10, 17)), 8192)
QUICK = Sizes(2, 128, 64, (64, 128, 256), 128)


def spread_pair(batch: int, points: int) -> tuple[Tensor, Tensor]:
    """Two independent draws of the same surfaces, each (batch, points, 3) float32."""
    drawn, _ = make_shapes(batch, 2 * points, seed=0)
    drawn = normalize(drawn)
    order = keyed_numpy_generator("benchmark order").permutation(2 * points)
    both = torch.from_numpy(np.ascontiguousarray(drawn[:, order]))
    return both[:, :points].contiguous(), both[:, points:].contiguous()


def collapsed(batch: int, points: int) -> Tensor:
    """Clouds (batch, points, 3) float32 as `COLLAPSED` describes them."""
    directions = torch.randn(batch, points, 3, generator=keyed_generator("benchmark collapsed"))
    directions = torch.nn.functional.normalize(directions, dim=2)
    radii = torch.rand(batch, points, 1, generator=keyed_generator("benchmark radii"))
    return 0.1 + 1e-3 * radii * directions
