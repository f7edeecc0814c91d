"""What is maximised for one observation: per-sample terms in nats, averaged by the loop."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from pc_crvae.hierarchical import stack_paths
from pc_crvae.likelihoods import Likelihood
from pc_crvae.posteriors import LatentChain, LatentPath
from pc_crvae.randomness.draws import Draws

Terms = dict[str, Tensor]
"""Per-sample terms (B,) by name; ``kl_per_dimension`` alone is (B, D)."""


class LatentVariableModel(nn.Module, ABC):
    """What an objective needs of a model: an encoder's half, a decoder's half, a prior."""

    @abstractmethod
    def posterior(self, x: Tensor) -> LatentChain:
        """q(z|x)."""

    @abstractmethod
    def likelihood(self, path: LatentPath) -> Likelihood:
        """p(x|z)."""

    @abstractmethod
    def prior(self) -> LatentChain:
        """p(z)."""


@dataclass(frozen=True)
class Evaluation:
    """An objective evaluated on a batch.

    Attributes:
        objective: what is maximised, (B,) nats.
        terms: its parts, each (B,) nats, and ``kl_per_dimension`` (B, D).
        path: the latent sample it was evaluated at.
    """

    objective: Tensor
    terms: Terms
    path: LatentPath


class Objective(ABC):
    """An objective of a latent-variable model."""

    needs_density: bool = True
    """Whether the posterior must be a distribution, rather than an auto-encoder's code."""

    @abstractmethod
    def __call__(
        self,
        model: LatentVariableModel,
        posterior: LatentChain,
        target: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
    ) -> Evaluation:
        """Evaluate on a batch.

        Args:
            model: gives the likelihood and the prior.
            posterior: q(z|x) of the batch.
            target: the observation to be explained, x itself unless said otherwise.
            draws: the source of the latent noise.
            kl_warmup: factor in [0, 1] on the KL to the prior, by the training schedule.
        """


class AutoEncoding(Objective):
    """The log-likelihood alone, at the posterior's sample: a plain auto-encoder."""

    needs_density = False

    def __call__(
        self,
        model: LatentVariableModel,
        posterior: LatentChain,
        target: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
    ) -> Evaluation:
        """Evaluate log p(target|z); ``kl_warmup`` has nothing to act on."""
        path = posterior.sample(draws)
        log_likelihood = model.likelihood(path).log_prob(target)
        return Evaluation(log_likelihood, {"log_likelihood": log_likelihood}, path)


class ELBO(Objective):
    """log p(x|z) - beta * KL(q(z|x) || p(z)), with the KL in closed form along one path.

    beta = 1 is the evidence lower bound of Kingma & Welling (2014), another beta that of
    Higgins et al. (2017).

    Args:
        beta: weight of the KL, per nat.
        free_bits: nats of each latent dimension of each sample that cost nothing: a
            dimension's KL counts as max(KL, free_bits), after Kingma et al. (2016), who
            average over the batch first; here it acts on a sample, so that no term depends
            on which samples share its batch. The reported KL is the true one.
    """

    def __init__(self, beta: float = 1.0, free_bits: float = 0.0) -> None:
        if beta < 0 or free_bits < 0:
            raise ValueError(f"beta {beta} and free_bits {free_bits} must not be negative")
        self.beta = beta
        self.free_bits = free_bits

    def __call__(
        self,
        model: LatentVariableModel,
        posterior: LatentChain,
        target: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
    ) -> Evaluation:
        """Evaluate the bound at one sample of the posterior."""
        path = posterior.sample(draws)
        log_likelihood = model.likelihood(path).log_prob(target)
        kl_per_dimension = posterior.kl(model.prior(), path)
        charged = self.charged(kl_per_dimension, posterior, kl_warmup, training=model.training)
        return Evaluation(
            log_likelihood - kl_warmup * self.beta * charged,
            {
                **posterior.by_group("kl", kl_per_dimension),
                "log_likelihood": log_likelihood,
                "kl": kl_per_dimension.sum(dim=1),
                "kl_per_dimension": kl_per_dimension,
            },
            path,
        )

    def charged(
        self,
        kl_per_dimension: Tensor,
        posterior: LatentChain,
        kl_warmup: float,
        *,
        training: bool,
    ) -> Tensor:
        """What of the KL (B, D) the objective is charged with, before beta: (B,) nats."""
        if self.free_bits:
            kl_per_dimension = kl_per_dimension.clamp(min=self.free_bits)
        return kl_per_dimension.sum(dim=1)


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
            for everything else.
    """

    def __init__(
        self,
        samples: int,
        gradient: Literal["reparameterized", "doubly_reparameterized"] = "reparameterized",
    ) -> None:
        if samples < 1:
            raise ValueError(f"the number of samples {samples} must be positive")
        if gradient not in ("reparameterized", "doubly_reparameterized"):
            raise ValueError(f"unknown gradient {gradient!r}")
        self.samples = samples
        self.gradient = gradient

    def __call__(
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
    return gradient * factor.to(gradient)[:, None]


class TrainingObjective(nn.Module, ABC):
    """The whole of what one training step maximises, as ONE forward of one module.

    This is the module that is wrapped for multi-process training, so every pass through the
    model happens inside its forward.
    """

    @abstractmethod
    def forward(
        self,
        x: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
        consistency_warmup: float = 1.0,
    ) -> Terms:
        """Per-sample terms of a batch; the one called ``objective`` is maximised."""


class SinglePass(TrainingObjective):
    """One objective of the observation as it is: a plain AE or VAE, no transform.

    Args:
        model: what is trained.
        objective: what is maximised.
    """

    def __init__(self, model: LatentVariableModel, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(
        self,
        x: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
        consistency_warmup: float = 1.0,
    ) -> Terms:
        """Terms of the objective; ``consistency_warmup`` has nothing to act on."""
        evaluation = self.objective(self.model, self.model.posterior(x), x, draws, kl_warmup)
        return {"objective": evaluation.objective, **evaluation.terms}
