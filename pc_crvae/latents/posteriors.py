"""Distributions over latents: chains of conditionals, mostly diagonal Gaussians, and their KLs.

A posterior q(z|x) and a prior p(z) are both a `LatentChain`: z is split into groups
z_1..z_L, and the chain knows each conditional given the groups before it. A flat Gaussian
is a chain of one group, so a hierarchical model needs nothing beyond its own chain.
"""

import math
from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor

from pc_crvae.randomness.draws import Draws

LatentPath = tuple[Tensor, ...]
"""One sample of every group, z_1..z_L, each (B, D_l)."""


class LatentChain(ABC):
    """A distribution over latent groups, batched over items."""

    has_density: bool = True
    """Whether KLs to and from this distribution exist; False for an auto-encoder's code."""

    @property
    @abstractmethod
    def mean(self) -> Tensor:
        """The representation of each item: (B, D)."""

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """D_l of every group: how the D of a KL's dimensions are split; here all are one group."""
        return (self.mean.shape[1],)

    @abstractmethod
    def sample(self, draws: Draws) -> LatentPath:
        """Draw one path, differentiably in the parameters (reparameterised)."""

    def mean_path(self) -> LatentPath:
        """The path of all groups' means, each given the means before it; nothing is drawn."""
        return (self.mean,)

    @abstractmethod
    def conditionals(self, path: LatentPath) -> tuple["Conditional", ...]:
        """The conditional of every group given the groups of ``path`` before it."""

    def top(self, path: LatentPath = ()) -> "Conditional":
        """The conditional of the top group, which depends on no other.

        Args:
            path: a sample of this chain, where there is one: it may know the answer already.
        """
        return self.conditionals(path)[0]

    @abstractmethod
    def detach(self) -> Self:
        """The same distribution, cut from the graph that made its parameters."""

    def kl(self, other: "LatentChain", path: LatentPath) -> Tensor:
        """KL(self || other) in nats for each latent dimension: (B, D), groups side by side.

        By the chain rule this is the sum over groups of E KL(self_l || other_l), both
        conditionals on the same z_<l, estimated along one ``path`` drawn from ``self``
        (as Sinha & Dieng 2021 do for NVAE; exact, and independent of the path, for one group
        of Gaussians). Two Gaussian conditionals have their KL in closed form; where either is
        not, as behind a normalising flow, it is log self_l - log other_l at the path's own
        sample: unbiased, but noisier, and negative at times.
        """
        pairs = zip(self.conditionals(path), other.conditionals(path), strict=True)
        return torch.cat(
            [
                gaussian_kl(mine, theirs)
                if isinstance(mine, DiagonalGaussian) and isinstance(theirs, DiagonalGaussian)
                else mine.log_prob(path[group]) - theirs.log_prob(path[group])
                for group, (mine, theirs) in enumerate(pairs)
            ],
            dim=1,
        )

    def by_group(self, name: str, per_dimension: Tensor) -> dict[str, Tensor]:
        """Split a KL (B, D) into one number per group: ``{"<name>/group 3 of 5": (B,), ...}``.

        Empty for a single group, whose number is the whole sum. In a step's terms these stand
        before the sums they add up to, so that what stops a run is named by its group.
        """
        sizes = self.group_sizes
        if len(sizes) == 1:
            return {}
        parts = torch.split(per_dimension, list(sizes), dim=1)
        return {
            f"{name}/group {number} of {len(sizes)}": part.sum(dim=1)
            for number, part in enumerate(parts, start=1)
        }


class Conditional(LatentChain):
    """A distribution of one group with a density: what chains are made of."""

    def conditionals(self, path: LatentPath) -> tuple["Conditional", ...]:
        """Itself: one group depends on none before it."""
        return (self,)

    @abstractmethod
    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-density in nats for each dimension of ``latent`` (B, D), summing to the group's."""


class DiagonalGaussian(Conditional):
    """A Gaussian with diagonal covariance; one group.

    Args:
        mean: (B, D); half precision is promoted to float32.
        log_variance: (B, D), the logarithm of the variance (not of the standard deviation).
    """

    def __init__(self, mean: Tensor, log_variance: Tensor) -> None:
        if mean.shape != log_variance.shape:
            raise ValueError(
                f"mean {tuple(mean.shape)} and log_variance {tuple(log_variance.shape)} "
                "must have the same shape"
            )
        self._mean = _at_least_float32(mean)
        self.log_variance = _at_least_float32(log_variance)

    @classmethod
    def standard(cls, dimensions: int, like: Tensor) -> "DiagonalGaussian":
        """N(0, I) over ``dimensions``, one row that broadcasts over any batch."""
        zeros = like.new_zeros((1, dimensions), dtype=_at_least_float32(like).dtype)
        return cls(zeros, zeros)

    @property
    def mean(self) -> Tensor:
        """The mean, (B, D)."""
        return self._mean

    @property
    def standard_deviation(self) -> Tensor:
        """The standard deviation, (B, D)."""
        return torch.exp(0.5 * self.log_variance)

    def sample(self, draws: Draws) -> LatentPath:
        """Draw mean + standard deviation * noise (Kingma & Welling 2014)."""
        noise = draws.normal(*self._mean.shape[1:]).to(self._mean)
        return (self._mean + self.standard_deviation * noise,)

    def log_prob(self, latent: Tensor) -> Tensor:
        """Log-density in nats for each dimension of ``latent`` (B, D)."""
        standardised = (latent - self._mean) * torch.exp(-0.5 * self.log_variance)
        return -0.5 * (standardised.square() + self.log_variance + math.log(2 * math.pi))

    def detach(self) -> "DiagonalGaussian":
        """The same Gaussians as constants."""
        return DiagonalGaussian(self._mean.detach(), self.log_variance.detach())


class PointMass(LatentChain):
    """The code of a plain auto-encoder: no noise, no density, hence no KL.

    Args:
        code: (B, D).
    """

    has_density = False

    def __init__(self, code: Tensor) -> None:
        self._code = _at_least_float32(code)

    @property
    def mean(self) -> Tensor:
        """The code, (B, D)."""
        return self._code

    def sample(self, draws: Draws) -> LatentPath:
        """The code itself; nothing is drawn."""
        return (self._code,)

    def conditionals(self, path: LatentPath) -> tuple[Conditional, ...]:
        """Refused.

        Raises:
            TypeError: always; a point mass has no density.
        """
        raise TypeError("the code of an auto-encoder has no density and therefore no KL")

    def detach(self) -> "PointMass":
        """The same codes as constants."""
        return PointMass(self._code.detach())


def gaussian_kl(first: DiagonalGaussian, second: DiagonalGaussian) -> Tensor:
    """KL(first || second) in nats for each dimension: (B, D).

    1/2 [log(s2^2/s1^2) - 1 + (s1^2 + (m1 - m2)^2) / s2^2] with s the standard deviation
    (that of Sinha & Dieng 2021), arranged so that it stays accurate where the two
    variances nearly agree.
    """
    log_ratio = first.log_variance - second.log_variance
    squared_shift = (first.mean - second.mean).square() * torch.exp(-second.log_variance)
    return 0.5 * (_expm1_minus(log_ratio) + squared_shift)


def pairwise_gaussian_kl(first: DiagonalGaussian, second: DiagonalGaussian) -> Tensor:
    """KL(first_i || second_j) in nats of every pair, summed over the dimensions: (B, B').

    The squared shift is expanded into matrix products about the mean of ``second``, so that no
    (B, B', D) tensor is made. The expansion cancels where means differ by little beside their
    distance from that mean, so it is computed in float64 (on Apple's GPUs, which have none, on the
    CPU). Use `gaussian_kl` for the pairs that matter to the last digit.
    """
    like = first.mean
    device = torch.device("cpu") if like.device.type == "mps" else like.device
    mean, log_variance, other_mean, other_log_variance = (
        part.to(device, torch.float64)
        for part in (first.mean, first.log_variance, second.mean, second.log_variance)
    )
    center = other_mean.mean(dim=0)
    mean, other_mean = mean - center, other_mean - center
    precision = torch.exp(-other_log_variance)
    square = (torch.exp(log_variance) + mean.square()) @ precision.t()
    cross = mean @ (other_mean * precision).t()
    own = (other_mean.square() * precision + other_log_variance - 1).sum(dim=1)
    kl = 0.5 * (square - 2 * cross + own - log_variance.sum(dim=1, keepdim=True))
    return kl.to(like)


def _expm1_minus(x: Tensor) -> Tensor:
    """exp(x) - 1 - x, by its Taylor series near 0, where the difference loses its digits."""
    near = x.clamp(-0.1, 0.1)
    series = torch.ones_like(near)
    for divisor in range(9, 2, -1):  # x^2/2 (1 + x/3 (1 + x/4 (...)))
        series = 1 + near / divisor * series
    return torch.where(x.abs() < 0.1, near.square() / 2 * series, torch.expm1(x) - x)


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
