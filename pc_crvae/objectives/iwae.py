"""The importance-weighted bound (Burda et al. 2016, arXiv 1509.00519)."""

import math
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from pc_crvae.latents.hierarchical import stack_paths
from pc_crvae.latents.posteriors import LatentChain, LatentPath
from pc_crvae.objectives.base import Evaluation, LatentVariableModel, Objective
from pc_crvae.randomness.draws import Draws
from pc_crvae.utils.differentiation import refuse_second_derivative


class IWAE(Objective):
    """log 1/K sum_k w_k, w_k = p(x|z_k) p(z_k) / q(z_k|x), at K samples of the posterior.

    The importance-weighted bound of Burda et al. (2016, arXiv 1509.00519). One sample makes it
    the ELBO with the KL taken at that sample.

    The terms reported are those of the plain ELBO, to be compared: the mean log-likelihood of the
    samples and the posterior's closed-form KL, which take no part in the objective, and beside
    them ``effective_samples``, (sum w)^2 / sum w^2, a number from 1 to K instead of nats. The path
    given on, along which a hierarchical model's consistency KL is evaluated, is the first sample:
    a sample of the posterior like any other, not one picked by its weight.

    Args:
        samples: K.
        gradient: ``reparameterized`` is that of the bound as it stands, whose encoder part drowns
            in noise as K grows; ``doubly_reparameterized`` is another unbiased one without that
            fault for the encoder (Tucker et al. 2018, arXiv 1810.04152, equation 8), and the same
            for everything else. It is an estimate, not the derivative of the value, so that
            a backward pass that is to be differentiable itself is refused.
    """

    def __init__(
        self,
        samples: int,
        gradient: Literal["reparameterized", "doubly_reparameterized"] = "reparameterized",
    ) -> None:
        super().__init__()
        if samples < 1:
            raise ValueError(f"the number of samples {samples} must be positive")
        if gradient not in ("reparameterized", "doubly_reparameterized"):
            raise ValueError(f"unknown gradient {gradient!r}")
        self.samples = samples
        self.gradient = gradient

    def forward(
        self,
        model: LatentVariableModel,
        posterior: LatentChain,
        target: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
    ) -> Evaluation:
        """Evaluate the bound; ``kl_warmup`` is a power on p(z)/q(z|x) within the weights."""
        doubly = self.gradient == "doubly_reparameterized"
        prior = model.prior()
        density = posterior.detach() if doubly else posterior
        paths: list[LatentPath] = []
        copies: list[LatentPath] = []
        log_ratios: list[Tensor] = []
        for _ in range(self.samples):
            path = posterior.sample(draws)
            # A copy, so that what flows back into it can be told from what else the path feeds.
            copy = tuple(latent.view_as(latent) for latent in path) if doubly else path
            paths.append(path)
            copies.append(copy)
            log_ratios.append(log_density(prior, copy) - log_density(density, copy))
        # One pass of the decoder for all samples, one sample's batch after another.
        targets = target.repeat(self.samples, *(1,) * (target.dim() - 1))
        log_likelihoods = model.likelihood(stack_paths(copies)).log_prob(targets)
        log_likelihoods = log_likelihoods.reshape(self.samples, -1)
        log_weights = log_likelihoods + kl_warmup * torch.stack(log_ratios)  # (K, B)
        bound = torch.logsumexp(log_weights, dim=0) - math.log(self.samples)

        weights = torch.softmax(log_weights.detach(), dim=0)
        if doubly and bound.requires_grad:
            surrogate = (weights * log_weights).sum(dim=0)
            bound = bound.detach() + surrogate - surrogate.detach()
            # The score of q, left out, comes back as a change of what flows into the samples: to
            # weights^2 as a whole, for a power of 1.
            factors = 1 - kl_warmup + kl_warmup * weights
            for copy, factor in zip(copies, factors, strict=True):
                for latent in copy:
                    latent.register_hook(partial(_scale_rows, factor))  # type: ignore[no-untyped-call]

        with torch.no_grad():
            kl_per_dimension = posterior.kl(prior, paths[0])
        return Evaluation(
            bound,
            {
                **posterior.by_group("kl", kl_per_dimension),
                "log_likelihood": log_likelihoods.detach().mean(dim=0),
                "kl": kl_per_dimension.sum(dim=1),
                "kl_per_dimension": kl_per_dimension,
                "effective_samples": 1 / weights.square().sum(dim=0),
            },
            paths[0],
        )


def log_density(chain: LatentChain, path: LatentPath) -> Tensor:
    """Log-density of ``chain`` at ``path`` in nats, all groups together: (B,)."""
    conditionals = zip(chain.conditionals(path), path, strict=True)
    return torch.stack(
        [conditional.log_prob(latent).sum(dim=1) for conditional, latent in conditionals]
    ).sum(dim=0)


def _scale_rows(factor: Tensor, gradient: Tensor) -> Tensor:
    """``gradient`` (B, D), each row times its ``factor`` (B,)."""
    refuse_second_derivative("the doubly reparameterised bound")
    return gradient * factor.to(gradient)[:, None]
