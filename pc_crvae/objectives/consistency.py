"""Consistency regularisation (CR-VAE): Sinha & Dieng, NeurIPS 2021, arXiv 2105.14859.

    L_CR(x) = L(x) + L(t(x)) - lambda D(q(z|t(x)), q(z|x))

with L any objective of `pc_crvae.objectives.base`, t a random semantics-preserving transform, and
one transform and one latent sample per item and step. D is the paper's KL, or another divergence of
posteriors. Nothing here knows what x is.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from pc_crvae.objectives.base import (
    Evaluation,
    LatentVariableModel,
    Objective,
    Observe,
    Terms,
    TrainingObjective,
    as_it_is,
)
from pc_crvae.objectives.divergences import Divergence, Encoded, KLDivergence
from pc_crvae.randomness.draws import Draws

Target = Literal["transformed", "original"]
Views = Literal["one", "both"]


class ConsistencyRegularized(TrainingObjective):
    """Both objectives and the divergence of a batch.

    With ``weight`` 0 (or at the start of its warm-up) this is the base model plus
    augmentation: the divergence is reported, takes no part in the objective (0 * inf would be NaN)
    and no gradient is kept for it.

    Args:
        model: the model that is trained.
        objective: L, applied to x and to t(x).
        transform: t, a random map of a batch that draws from the `Draws` it is given.
        weight: lambda, per unit of the divergence.
        divergence: D, by default the paper's KL(q(z|t(x)) || q(z|x)).
        target: what the second objective explains: ``transformed`` is the paper's t(x);
            ``original`` asks the posterior of t(x) to explain x itself, a canonical target.
        views: which of the pair is transformed: ``one`` is the paper's t(x) beside x; ``both``
            takes a second draw of t in place of x, as contrast between two views does (SimCLR,
            Chen et al. 2020, arXiv 2002.05709).
        observe: draws the observations of x and of t(x): what both objectives encode and explain.
    """

    def __init__(
        self,
        model: LatentVariableModel,
        objective: Objective,
        transform: Callable[[Tensor, Draws], Tensor],
        *,
        weight: float,
        divergence: Divergence | None = None,
        target: Target = "transformed",
        views: Views = "one",
        observe: Observe = as_it_is,
    ) -> None:
        super().__init__()
        divergence = KLDivergence() if divergence is None else divergence
        if weight < 0:
            raise ValueError(f"the consistency weight {weight} must not be negative")
        if weight > 0 and divergence.needs_density and not objective.needs_density:
            raise ValueError(
                "an auto-encoder has no posterior KL: set the consistency weight to 0 or "
                "choose an objective with a posterior"
            )
        if target not in ("transformed", "original"):
            raise ValueError(f"unknown target {target!r}")
        if views not in ("one", "both"):
            raise ValueError(f"unknown views {views!r}")
        self.model = model
        self.objective = objective
        self.transform = transform
        self.weight = weight
        self.divergence = divergence
        self.target = target
        self.views = views
        self.observe = observe
        self.compares_items = divergence.compares_items

    def forward(
        self,
        x: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
        consistency_warmup: float = 1.0,
    ) -> Terms:
        """Per-sample terms of L_CR, those of t(x) under ``transformed/``.

        Args:
            x: the batch, items first.
            draws: source of the transform's randomness, then of that of the second view where
                there is one, then of the observations of both and of an original that is a target
                alone, then of the latent noise of both.
            kl_warmup: factor in [0, 1] on the KL to the prior.
            consistency_warmup: factor in [0, 1] on lambda.
        """
        transformed = self.transform(x, draws)
        other = x if self.views == "one" else self.transform(x, draws)
        other, transformed = self.observe(other, draws), self.observe(transformed, draws)
        target, transformed_target = other, transformed
        if self.target == "original":
            target = other if self.views == "one" else self.observe(x, draws)
            transformed_target = target
        posterior = self.model.posterior(other)
        transformed_posterior = self.model.posterior(transformed)
        first: Evaluation = self.objective(self.model, posterior, target, draws, kl_warmup)
        second: Evaluation = self.objective(
            self.model, transformed_posterior, transformed_target, draws, kl_warmup
        )

        terms = {"objective": first.objective + second.objective, **first.terms}
        terms |= {f"transformed/{name}": term for name, term in second.terms.items()}
        weight = consistency_warmup * self.weight
        if posterior.has_density or not self.divergence.needs_density:
            with torch.set_grad_enabled(weight > 0 and torch.is_grad_enabled()):
                terms |= self.divergence(
                    Encoded(posterior, first.path), Encoded(transformed_posterior, second.path)
                )
        if weight > 0:
            terms["objective"] = terms["objective"] - weight * terms["consistency"]
        else:  # processes wait for a gradient of all that the divergence owns, if only for zeros
            for owned in self.divergence.parameters():
                terms["objective"] = terms["objective"] + 0 * owned.sum()
        return terms
