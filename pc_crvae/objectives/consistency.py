"""Consistency regularisation (CR-VAE): Sinha & Dieng, NeurIPS 2021, arXiv 2105.14859.

    L_CR(x) = L(x) + L(t(x)) - lambda KL(q(z|t(x)) || q(z|x))

with L any objective of `pc_crvae.objectives.base`, t a random semantics-preserving transform, and
one transform and one latent sample per item and step. Nothing here knows what x is.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from pc_crvae.latents.posteriors import LatentChain, LatentPath
from pc_crvae.objectives.base import (
    Evaluation,
    LatentVariableModel,
    Objective,
    Observe,
    Terms,
    TrainingObjective,
    as_it_is,
)
from pc_crvae.randomness.draws import Draws

Direction = Literal["transformed_first", "original_first"]
Target = Literal["transformed", "original"]


class ConsistencyRegularized(TrainingObjective):
    """Both objectives and the consistency KL of a batch.

    With ``weight`` 0 (or at the start of its warm-up) this is the base model plus
    augmentation: the KL is reported, takes no part in the objective (0 * inf would be NaN) and
    no gradient is kept for it.

    Args:
        model: what is trained.
        objective: L, applied to x and to t(x).
        transform: t, a random map of a batch that draws from the `Draws` it is given.
        weight: lambda, per nat of KL.
        direction: ``transformed_first`` is the paper's KL(q(z|t(x)) || q(z|x)).
        stop_gradient: hold q(z|x) fixed inside the KL; the paper does not.
        target: what the second objective explains: ``transformed`` is the paper's t(x);
            ``original`` asks the posterior of t(x) to explain x itself, a canonical target.
        dimensions: (start, stop) of the latent dimensions the KL acts on, all by default.
        observe: draws the observations of x and of t(x): what both objectives encode and explain.
    """

    def __init__(
        self,
        model: LatentVariableModel,
        objective: Objective,
        transform: Callable[[Tensor, Draws], Tensor],
        *,
        weight: float,
        direction: Direction = "transformed_first",
        stop_gradient: bool = False,
        target: Target = "transformed",
        dimensions: tuple[int, int] | None = None,
        observe: Observe = as_it_is,
    ) -> None:
        super().__init__()
        if weight < 0:
            raise ValueError(f"the consistency weight {weight} must not be negative")
        if weight > 0 and not objective.needs_density:
            raise ValueError(
                "an auto-encoder has no posterior KL: set the consistency weight to 0 or "
                "choose an objective with a posterior"
            )
        if direction not in ("transformed_first", "original_first"):
            raise ValueError(f"unknown direction {direction!r}")
        if target not in ("transformed", "original"):
            raise ValueError(f"unknown target {target!r}")
        self.model = model
        self.objective = objective
        self.transform = transform
        self.weight = weight
        self.direction = direction
        self.stop_gradient = stop_gradient
        self.target = target
        self.dimensions = slice(*dimensions) if dimensions else slice(None)
        self.observe = observe

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
            draws: source of the transform's randomness, then of the observations of x and of
                t(x), then of the latent noise of x and of t(x).
            kl_warmup: factor in [0, 1] on the KL to the prior.
            consistency_warmup: factor in [0, 1] on lambda.
        """
        transformed_x = self.transform(x, draws)
        x, transformed_x = self.observe(x, draws), self.observe(transformed_x, draws)
        posterior = self.model.posterior(x)
        transformed_posterior = self.model.posterior(transformed_x)
        target = transformed_x if self.target == "transformed" else x
        first: Evaluation = self.objective(self.model, posterior, x, draws, kl_warmup)
        second: Evaluation = self.objective(
            self.model, transformed_posterior, target, draws, kl_warmup
        )

        terms = {"objective": first.objective + second.objective, **first.terms}
        terms |= {f"transformed/{name}": term for name, term in second.terms.items()}
        weight = consistency_warmup * self.weight
        if posterior.has_density:
            with torch.set_grad_enabled(weight > 0 and torch.is_grad_enabled()):
                divergence = self._divergence(
                    posterior, first.path, transformed_posterior, second.path
                )
                terms |= posterior.by_group("consistency", divergence)
                terms["consistency"] = divergence[:, self.dimensions].sum(dim=1)
        if weight > 0:
            terms["objective"] = terms["objective"] - weight * terms["consistency"]
        return terms

    def _divergence(
        self,
        posterior: LatentChain,
        path: LatentPath,
        transformed_posterior: LatentChain,
        transformed_path: LatentPath,
    ) -> Tensor:
        """The KL for each latent dimension, (B, D)."""
        anchor = posterior.detach() if self.stop_gradient else posterior
        if self.direction == "transformed_first":
            return transformed_posterior.kl(anchor, transformed_path)
        if self.stop_gradient:
            path = tuple(latent.detach() for latent in path)
        return anchor.kl(transformed_posterior, path)
