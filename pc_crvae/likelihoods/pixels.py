"""Pixels that are independent given z: Bernoulli and Gaussian."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from pc_crvae.likelihoods.base import PixelLikelihood, at_least_float32, sum_of_items
from pc_crvae.randomness.draws import Draws


class BernoulliLikelihood(PixelLikelihood):
    """Pixels that are 0 or 1.

    For grey levels between them ``log_prob`` is the expected log-likelihood of pixels drawn
    with these probabilities: no density of the levels. Draw the pixels instead, see
    `pc_crvae.objectives.binarization`.

    Args:
        logits: the logits of a pixel being 1, (B, C, H, W).
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = at_least_float32(logits)

    @property
    def mean(self) -> Tensor:
        """The probability of each pixel being 1, (B, C, H, W)."""
        return torch.sigmoid(self.logits)

    def sample(self, draws: Draws) -> Tensor:
        """Draw each pixel, 0 or 1."""
        probabilities = self.mean.detach()
        uniform = draws.uniform(*probabilities.shape[1:]).to(probabilities.device)
        return (uniform < probabilities).to(probabilities)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability in nats of the pixels ``x`` (B, C, H, W): (B,)."""
        return -sum_of_items(
            F.binary_cross_entropy_with_logits(self.logits, x.to(self.logits), reduction="none")
        )


class GaussianLikelihood(PixelLikelihood):
    """Pixels with normal noise: a density on all reals, for values scaled to [0, 1].

    Its nats are those of a continuous value: a level of 256 has log-probability
    ``log_prob - log(256)`` a pixel as long as the noise is wider than a level and the values
    carry uniform noise of one level (dequantisation).

    Args:
        mean: (B, C, H, W).
        log_variance: one number for all, or one for each pixel (B, C, H, W); the logarithm of the
            variance.
    """

    def __init__(self, mean: Tensor, log_variance: Tensor | float) -> None:
        self._mean = at_least_float32(mean)
        self.log_variance = torch.as_tensor(
            log_variance, dtype=self._mean.dtype, device=self._mean.device
        )

    @property
    def mean(self) -> Tensor:
        """The mean, (B, C, H, W)."""
        return self._mean

    def sample(self, draws: Draws) -> Tensor:
        """Draw each pixel; values are not clipped."""
        noise = draws.normal(*self._mean.shape[1:]).to(self._mean)
        return (self._mean + torch.exp(0.5 * self.log_variance) * noise).detach()

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density in nats of ``x`` (B, C, H, W): (B,)."""
        standardised = (x.to(self._mean) - self._mean) * torch.exp(-0.5 * self.log_variance)
        return -0.5 * sum_of_items(
            standardised.square() + self.log_variance + math.log(2 * math.pi)
        )
