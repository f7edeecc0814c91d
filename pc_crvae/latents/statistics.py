"""Statistics of latent codes over a data set."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.randomness.draws import Draws, keyed_generator

ACTIVE_VARIANCE = 0.01
"""Variance of its posterior mean over the data, above which a dimension counts as active."""

_ROWS_AT_ONCE = 1000
SATURATION_MARGIN = 2.0
"""Nats below log N from which on a mutual information counts as saturated."""


def active_units(means: Tensor | NDArray[np.floating]) -> int:
    """Count the latent dimensions that the posterior mean uses.

    A unit is active when Var_x(E_q(z|x)[z]) > `ACTIVE_VARIANCE`, the variance taken over the data
    (Burda et al. 2016, arXiv 1509.00519).

    Args:
        means: (n, d) posterior means of n >= 2 samples, computed on in float64.
    """
    units = ActiveUnits()
    units.add(torch.as_tensor(means))
    return units.count()


class ActiveUnits:
    """`active_units` of means that come part by part, of which only sums are kept.

    A hierarchical model has up to hundreds of thousands of latent dimensions, and the means of a
    whole split would not fit into memory.
    """

    def __init__(self) -> None:
        self._items = 0
        self._mean = torch.zeros((), dtype=torch.float64)  # (d,) from the first part on
        self._squares = torch.zeros((), dtype=torch.float64)  # of deviations from the mean

    @property
    def dimensions(self) -> int:
        """d, once a part is there."""
        return self._mean.numel()

    def add(self, means: Tensor) -> None:
        """Take further posterior means (b, d), b >= 1, into account."""
        means = means.detach().double()
        mean = means.mean(dim=0)
        self.join(len(means), mean, (means - mean).square().sum(dim=0))

    @property
    def moments(self) -> tuple[int, Tensor, Tensor]:
        """What `join` takes: the items, their mean (d,) and squared deviations from it (d,)."""
        return self._items, self._mean, self._squares

    def join(self, items: int, mean: Tensor, squares: Tensor) -> None:
        """Take the `moments` of further items, at least one, into account."""
        # Sums of plain squares would lose the digits of a variance far smaller than the mean;
        # those about the parts' own means are joined as in Chan, Golub & LeVeque (1983).
        together = self._items + items
        shift = mean - self._mean
        self._squares = self._squares + squares + shift.square() * (self._items * items / together)
        self._mean = self._mean + shift * (items / together)
        self._items = together

    def count(self) -> int:
        """Dimensions whose mean has a variance above `ACTIVE_VARIANCE`.

        Raises:
            ValueError: fewer than two items were added.
        """
        if self._items < 2:
            raise ValueError(f"a variance takes two items, and {self._items} were added")
        return int((self._squares / self._items > ACTIVE_VARIANCE).sum())


def aggregate_log_prob(posteriors: DiagonalGaussian, latents: Tensor) -> Tensor:
    """Log-density of the aggregate posterior q(z) = 1/N sum_n q(z|x_n), in nats.

    Args:
        posteriors: those of all N items of a set, (N, D); computed on in float64, a part at a time.
        latents: (n, D).

    Returns:
        (n,) float64.
    """
    totals = [
        torch.full((len(part),), -math.inf, dtype=torch.float64, device=latents.device)
        for part in torch.split(latents, _ROWS_AT_ONCE)
    ]
    for component in _in_parts(posteriors):
        precisions = torch.exp(-component.log_variance)
        scaled = component.mean * precisions
        by_dimension = component.mean * scaled + component.log_variance + math.log(2 * math.pi)
        constants = by_dimension.sum(dim=1)  # one a component
        for number, part in enumerate(torch.split(latents, _ROWS_AT_ONCE)):
            point = part.to(precisions)
            squares = point.square() @ precisions.T - 2 * point @ scaled.T
            found = torch.logsumexp(-0.5 * (squares + constants), dim=1)
            totals[number] = torch.logaddexp(totals[number], found)
    return torch.cat(totals) - math.log(len(posteriors.mean))


@dataclass(frozen=True)
class MutualInformation:
    """I_q(x; z) = E_x KL(q(z|x) || p(z)) - KL(q(z) || p(z)) over a set of N items, in nats.

    Attributes:
        estimate: the mutual information; it cannot exceed log N by construction.
        stderr: the standard error over the items.
        log_n: log N.
        rate: E_x KL(q(z|x) || p(z)), in closed form.
        aggregate_kl: KL(q(z) || p(z)), what the rate has that the information has not. Where the
            estimate is saturated this is an upper bound on it, nothing more.
        saturated: whether the estimate lies within `SATURATION_MARGIN` of log N. It then says that
            the N posteriors hardly overlap, not how much z knows of x: do not rank by it.
    """

    estimate: float
    stderr: float
    log_n: float
    rate: float
    aggregate_kl: float
    saturated: bool


def mutual_information(
    posteriors: DiagonalGaussian, prior: DiagonalGaussian, *, seed: int = 0
) -> MutualInformation:
    """Estimate the mutual information of items and latents (Hoffman & Johnson 2016) by Monte Carlo.

    The mean over the items of log q(z|x) - log q(z) at samples of q(z|x), q(z) the aggregate of
    the very same items. That its N hold the sample's own makes an information I come out too small,
    by about log(1 + (e^I - 1) / N) nats where the items are alike: 0.15 at the margin from which on
    an estimate is marked. Takes N^2 densities, a million at a time.

    Args:
        posteriors: q(z|x) of all N items, (N, D), N >= 2.
        prior: p(z).
        seed: the seed of the latents, one for each item.
    """
    count = len(posteriors.mean)
    draws = Draws(keyed_generator("mutual information", seed), count)
    noise = torch.split(draws.normal(posteriors.mean.shape[1]), _ROWS_AT_ONCE)
    latents, own = [], []
    for part, its_noise in zip(_in_parts(posteriors), noise, strict=True):
        latents.append(part.mean + part.standard_deviation * its_noise.to(part.mean))
        own.append(part.log_prob(latents[-1]).sum(dim=1))
    log_ratios = (torch.cat(own) - aggregate_log_prob(posteriors, torch.cat(latents))).cpu()
    estimate = float(log_ratios.mean())
    kls = [part.kl(prior.detach(), ()).sum(dim=1) for part in _in_parts(posteriors)]
    rate = float(torch.cat(kls).mean())
    log_n = math.log(count)
    return MutualInformation(
        estimate=estimate,
        stderr=float(log_ratios.std() / math.sqrt(count)),
        log_n=log_n,
        rate=rate,
        aggregate_kl=rate - estimate,
        saturated=estimate > log_n - SATURATION_MARGIN,
    )


def _in_parts(posteriors: DiagonalGaussian) -> Iterator[DiagonalGaussian]:
    """The Gaussians of some items after another, in float64 and without gradient."""
    means = torch.split(posteriors.mean.detach(), _ROWS_AT_ONCE)
    log_variances = torch.split(posteriors.log_variance.detach(), _ROWS_AT_ONCE)
    for mean, log_variance in zip(means, log_variances, strict=True):
        yield DiagonalGaussian(mean.double(), log_variance.double())
