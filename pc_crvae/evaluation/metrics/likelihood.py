"""How well a model explains held-out observations, in nats an observation.

Everything goes through `LatentVariableModel`: flat or hierarchical, of images or anything else with
a normalised likelihood.
"""

import math
from collections.abc import Callable, Iterator
from typing import Self

import torch
from torch import Tensor

from pc_crvae.evaluation.reports import Part
from pc_crvae.latents.hierarchical import stack_paths
from pc_crvae.latents.posteriors import LatentChain, LatentPath
from pc_crvae.models.vae import evaluating
from pc_crvae.objectives.base import LatentVariableModel
from pc_crvae.objectives.iwae import log_density
from pc_crvae.randomness.draws import Draws, keyed_generator

ITEMS_AT_ONCE = 100
DECODED_AT_ONCE = 1000


class Estimate(Part):
    """A mean over items, in nats, and its standard error: how far other items would move it."""

    mean: float
    stderr: float

    @classmethod
    def of(cls, values: Tensor) -> "Estimate":
        """Summarize ``values`` (n,), one per item, n >= 2."""
        return Estimate(
            mean=float(values.mean()), stderr=float(values.std() / math.sqrt(len(values)))
        )


class SampleSizes(Part):
    """Effective sample sizes of items."""

    mean: float
    median: float
    min: float


class NLL(Estimate):
    """The negative log-likelihood of items by importance sampling, as reports have it.

    Attributes:
        bits_per_dimension: the mean in bits a dimension; None where it has no meaning.
        samples: latents an item.
        effective_sample_size: the effective size of these samples.
        items: the number of items.
    """

    bits_per_dimension: float | None
    samples: int
    effective_sample_size: SampleSizes
    items: int

    @classmethod
    def of_items(cls, nll: Tensor, sizes: Tensor, samples: int, dimensions: int) -> Self:
        """Summarize what `importance_sampled_nll` estimates of n items.

        Bits a dimension mean what they say of discrete levels only.

        Args:
            nll: (n,) nats.
            sizes: (n,), the effective sample sizes.
            samples: S, latents an item.
            dimensions: numbers in an observation.
        """
        over_items = Estimate.of(nll)
        return cls(
            **dict(over_items),
            bits_per_dimension=over_items.mean / (math.log(2) * dimensions),
            samples=samples,
            effective_sample_size=SampleSizes(
                mean=float(sizes.mean()), median=float(sizes.median()), min=float(sizes.min())
            ),
            items=len(nll),
        )


def importance_sampled_nll(
    model: LatentVariableModel,
    x: Tensor,
    *,
    samples: int = 500,
    seed: int = 0,
    items_at_once: int = ITEMS_AT_ONCE,
    decoded_at_once: int = DECODED_AT_ONCE,
    advance: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:
    """Estimate -log p(x) with the posterior as the proposal (Burda et al. 2016, section 5).

    Args:
        model: put in evaluation mode for the while.
        x: observations (n, ...) as the model explains them, binarised already where it is a model
            of binary pixels; moved to its device part by part.
        samples: S, latents drawn for each observation.
        seed: the seed of the latents, which also depend on ``items_at_once``.
        items_at_once: observations encoded at once.
        decoded_at_once: latents decoded at once; bounds the memory, and changes no result but by
            rounding.
        advance: called after each ``items_at_once`` observations.

    Returns:
        -log 1/S sum_s p(x|z_s) p(z_s) / q(z_s|x), (n,) nats, whose expectation lies above the true
        value for finite S; and the effective sample sizes (sum w)^2 / sum w^2, (n,), from 1 to S.
        Where one is a handful, S is too small for the item and its estimate too high.
    """
    nll, sizes = [], []
    at_once = max(1, decoded_at_once // items_at_once)
    with evaluating(model):
        prior = model.prior()
        for part, posterior, draws in _batches(model, x, items_at_once, "importance", seed):
            log_weights = []
            for first in range(0, samples, at_once):
                count = min(at_once, samples - first)
                paths = [posterior.sample(draws) for _ in range(count)]
                log_ratios = torch.stack(
                    [log_density(prior, path) - log_density(posterior, path) for path in paths]
                )
                log_weights.append((_log_likelihoods(model, paths, part) + log_ratios).double())
            weights = torch.cat(log_weights)  # (S, b)
            total = torch.logsumexp(weights, dim=0)
            nll.append((math.log(samples) - total).cpu())
            sizes.append(torch.exp(2 * total - torch.logsumexp(2 * weights, dim=0)).cpu())
            advance()
    return torch.cat(nll), torch.cat(sizes)


def rate_and_distortion(
    model: LatentVariableModel,
    x: Tensor,
    *,
    samples: int = 10,
    seed: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The ELBO's two halves: the KL in closed form, along each of ``samples`` paths.

    Args:
        model: put in evaluation mode for the while.
        x: observations (n, ...), as for `importance_sampled_nll`.
        samples: latents drawn for each observation. Of a flat Gaussian posterior they bear on the
            distortion only.
        seed: the seed of the latents.

    Returns:
        The rate KL(q(z|x) || p(z)), (n,) nats; the distortion -E log p(x|z), (n,) nats, the mean of
        the samples; and the rate by dimension, (D,) nats, the mean over the observations.
    """
    rates, distortions = [], []
    per_dimension = torch.zeros((), dtype=torch.float64)  # summed: (n, D) of a hierarchy is large
    with evaluating(model):
        prior = model.prior()
        for part, posterior, draws in _batches(model, x, ITEMS_AT_ONCE, "rate", seed):
            rate, distortion = torch.zeros(()), torch.zeros(())
            for _ in range(samples):
                path = posterior.sample(draws)
                rate = rate + posterior.kl(prior, path).double().cpu() / samples
                distortion = (
                    distortion - model.likelihood(path).log_prob(part).double().cpu() / samples
                )
            rates.append(rate.sum(dim=1))
            per_dimension = per_dimension + rate.sum(dim=0)
            distortions.append(distortion)
    return torch.cat(rates), torch.cat(distortions), per_dimension / len(x)


def sums_of_groups(model: LatentVariableModel, per_dimension: Tensor) -> list[float]:
    """Sum up what there is of each dimension (D,) over each latent group of a model."""
    parts = torch.split(per_dimension, list(model.prior().group_sizes))
    return [float(part.sum()) for part in parts]


def _batches(
    model: LatentVariableModel, x: Tensor, size: int, purpose: str, seed: int
) -> Iterator[tuple[Tensor, LatentChain, Draws]]:
    """Parts of ``x`` on the model's device, their posteriors, and draws for each."""
    device = next(model.parameters()).device
    for start in range(0, len(x), size):
        part = x[start : start + size].to(device)
        generator = keyed_generator(purpose, seed, start, device=device)
        yield part, model.posterior(part), Draws(generator, len(part))


def _log_likelihoods(model: LatentVariableModel, paths: list[LatentPath], x: Tensor) -> Tensor:
    """Log p(x|z) of ``x`` (b, ...) at each of the paths, decoded together: (paths, b)."""
    repeated = x.repeat(len(paths), *(1,) * (x.dim() - 1))
    return model.likelihood(stack_paths(paths)).log_prob(repeated).reshape(len(paths), -1)
