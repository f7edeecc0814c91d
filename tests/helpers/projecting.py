"""An objective with weights of its own, in the one file that it costs."""

from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from pc_crvae.latents.posteriors import LatentChain
from pc_crvae.objectives.base import Evaluation, LatentVariableModel
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.randomness.draws import Draws


class ProjectingELBO(ELBO):
    """The ELBO less the squared distance of a projection of the latent from (1, 1)."""

    def __init__(self, width: int, **settings: Any) -> None:
        super().__init__(**settings)
        self.projector = nn.Linear(width, 2)

    @classmethod
    def for_model(cls, model: LatentVariableModel, **settings: Any) -> Self:
        width = model.prior().mean.shape[1]
        return cls(width, **settings)

    def forward(
        self,
        model: LatentVariableModel,
        posterior: LatentChain,
        target: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
    ) -> Evaluation:
        evaluation = super().forward(model, posterior, target, draws, kl_warmup)
        error = (self.projector(torch.cat(evaluation.path, dim=1)) - 1).square().sum(dim=1)
        terms = evaluation.terms | {"projection_error": error}
        return replace(evaluation, objective=evaluation.objective - error, terms=terms)
