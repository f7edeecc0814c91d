"""What is maximised for one observation: per-sample terms in nats, averaged by the loop."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor, nn

from pc_crvae.latents.posteriors import LatentChain, LatentPath
from pc_crvae.likelihoods import Likelihood
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
        objective: the objective to maximise, (B,) nats.
        terms: the parts of the objective, each (B,) nats, and ``kl_per_dimension`` (B, D).
        path: the latent sample it was evaluated at.
    """

    objective: Tensor
    terms: Terms
    path: LatentPath


class Objective(nn.Module, ABC):
    """An objective of a latent-variable model.

    It may own weights, such as a projector's: training trains, averages and saves them with the
    model's, and no export holds them.
    """

    needs_density: bool = True
    """Whether the posterior must be a distribution, rather than an auto-encoder's code."""

    @classmethod
    def for_model(cls, model: LatentVariableModel, **settings: Any) -> Self:
        """Make the objective that trains ``model``, whose sizes weights of its own may need.

        Args:
            model: the model that is trained.
            settings: the constructor's arguments, as a config's ``objective`` names them.
        """
        return cls(**settings)

    @abstractmethod
    def forward(
        self,
        model: LatentVariableModel,
        posterior: LatentChain,
        target: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
    ) -> Evaluation:
        """Evaluate on a batch.

        Args:
            model: the model that gives the likelihood and the prior.
            posterior: q(z|x) of the batch.
            target: the observation to be explained, x itself unless said otherwise.
            draws: the source of the latent noise.
            kl_warmup: factor in [0, 1] on the KL to the prior, by the training schedule.
        """


class AutoEncoding(Objective):
    """The log-likelihood alone, at the posterior's sample: a plain auto-encoder."""

    needs_density = False

    def forward(
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


class TrainingObjective(nn.Module, ABC):
    """The whole of what one training step maximises, as ONE forward of one module.

    This is the module that is wrapped for multi-process training, so every pass through the
    model happens inside its forward.
    """

    compares_items: bool = False
    """Whether terms of an item depend on which other items are in the batch, and on how many."""

    @abstractmethod
    def forward(
        self,
        x: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
        consistency_warmup: float = 1.0,
    ) -> Terms:
        """Per-sample terms of a batch; the one called ``objective`` is maximised."""


Observe = Callable[[Tensor, Draws], Tensor]
"""Draws the observation that each item of a batch is trained as."""


def as_it_is(x: Tensor, draws: Draws) -> Tensor:
    """Observe each item as it is, and draw nothing."""
    return x


class SinglePass(TrainingObjective):
    """One objective of the observation alone: a plain AE or VAE, no transform.

    Args:
        model: the model that is trained.
        objective: the objective to maximise.
        observe: draws the observation of each item, before anything else is drawn.
    """

    def __init__(
        self, model: LatentVariableModel, objective: Objective, observe: Observe = as_it_is
    ) -> None:
        super().__init__()
        self.model = model
        self.objective = objective
        self.observe = observe

    def forward(
        self,
        x: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
        consistency_warmup: float = 1.0,
    ) -> Terms:
        """Terms of the objective; ``consistency_warmup`` has nothing to act on."""
        x = self.observe(x, draws)
        posterior = self.model.posterior(x)
        evaluation: Evaluation = self.objective(self.model, posterior, x, draws, kl_warmup)
        return {"objective": evaluation.objective, **evaluation.terms}
