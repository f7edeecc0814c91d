"""What every likelihood knows."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from pc_crvae.randomness.draws import Draws


class Likelihood(ABC):
    """A distribution over observations, batched over items."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The reconstruction of each item."""

    @abstractmethod
    def log_prob(self, x: Tensor) -> Tensor:
        """Log-likelihood of each item in nats, summed over its dimensions: (B,)."""


class PixelLikelihood(Likelihood):
    """A normalised distribution over images (B, C, H, W) with values in [0, 1].

    Parameters in half precision are promoted to float32 before anything is computed of them.
    """

    @abstractmethod
    def sample(self, draws: Draws) -> Tensor:
        """Draw an image for each item: (B, C, H, W), without gradient."""


def at_least_float32(tensor: Tensor) -> Tensor:
    """The tensor itself where it is float32 or float64, in float32 where it is coarser."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def sum_of_items(values: Tensor) -> Tensor:
    """Sum over everything but the first dimension: (B, ...) to (B,)."""
    return values.flatten(1).sum(dim=1)
