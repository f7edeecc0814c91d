"""Gaussians whose parameters are softly clamped, and Gaussians relative to them."""

import torch
from torch import Tensor

from pc_crvae.latents.posteriors import DiagonalGaussian

CLAMP = 5.0


def soft_clamp(values: Tensor, bound: float = CLAMP) -> Tensor:
    """Squash into (-bound, bound), the identity near 0: bound * tanh(values / bound)."""
    return bound * torch.tanh(values / bound)


class ClampedGaussian(DiagonalGaussian):
    """N(clamp(mean), exp(clamp(log sigma))^2), both within 5 either side of 0.

    Args:
        raw_mean: (B, D), before the clamp.
        raw_log_sigma: (B, D), logarithm of the standard deviation before the clamp.
    """

    def __init__(self, raw_mean: Tensor, raw_log_sigma: Tensor) -> None:
        self.raw_mean = raw_mean
        self.raw_log_sigma = raw_log_sigma
        super().__init__(soft_clamp(raw_mean), 2 * soft_clamp(raw_log_sigma))

    def shifted(self, mean: Tensor, log_sigma: Tensor) -> "ClampedGaussian":
        """The Gaussian relative to this one: N(mu + d mu, (sigma * d sigma)^2), then clamped.

        A posterior that says nothing (zeros) is the prior, whatever the prior (section 3.2).
        """
        return ClampedGaussian(self.raw_mean + mean, self.raw_log_sigma + log_sigma)
