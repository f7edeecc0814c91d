"""What is maximised for one observation: per-sample terms in nats, averaged by the loop."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

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
