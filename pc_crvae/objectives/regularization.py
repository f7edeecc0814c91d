"""Penalties on a model's weights, inside the one forward of what is trained."""

from collections.abc import Callable

from torch import Tensor

from pc_crvae.objectives.base import Terms, TrainingObjective
from pc_crvae.randomness.draws import Draws


class Regularized(TrainingObjective):
    """Another training objective less a penalty on the weights, while it trains.

    In evaluation it is the other objective alone: the penalty says nothing about the data.

    Args:
        objective: the objective without the regulariser.
        penalty: a scalar of the weights, such as ``NVAE.regularization``, reported as the
            term ``regularization``.
    """

    def __init__(self, objective: TrainingObjective, penalty: Callable[[], Tensor]) -> None:
        super().__init__()
        self.objective = objective
        self.penalty = penalty
        self.compares_items = objective.compares_items

    def forward(
        self,
        x: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
        consistency_warmup: float = 1.0,
    ) -> Terms:
        """Terms of the other objective and ``regularization``, the same for every item."""
        terms: Terms = self.objective(x, draws, kl_warmup, consistency_warmup)
        if not self.training:
            return terms
        penalty = self.penalty().expand(len(x))
        return {**terms, "objective": terms["objective"] - penalty, "regularization": penalty}
