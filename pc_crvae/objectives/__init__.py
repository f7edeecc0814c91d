"""What is maximised, in per-sample terms, and what consistency adds to it."""

from pc_crvae.objectives.base import (
    AutoEncoding,
    Evaluation,
    LatentVariableModel,
    Objective,
    SinglePass,
    Terms,
    TrainingObjective,
)
from pc_crvae.objectives.binarization import binarize
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.objectives.iwae import IWAE

__all__ = [
    "ELBO",
    "IWAE",
    "AutoEncoding",
    "ConsistencyRegularized",
    "Evaluation",
    "LatentVariableModel",
    "Objective",
    "SinglePass",
    "Terms",
    "TrainingObjective",
    "binarize",
]
