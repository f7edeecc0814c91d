"""Likelihoods p(x|z): what a decoder's output says about an observation, in nats a sample."""

from pc_crvae.likelihoods.base import Likelihood, PixelLikelihood
from pc_crvae.likelihoods.chamfer import ChamferLikelihood
from pc_crvae.likelihoods.logistic import (
    DiscretizedLogisticLikelihood,
    DiscretizedLogisticMixtureLikelihood,
)
from pc_crvae.likelihoods.pixels import BernoulliLikelihood, GaussianLikelihood

__all__ = [
    "BernoulliLikelihood",
    "ChamferLikelihood",
    "DiscretizedLogisticLikelihood",
    "DiscretizedLogisticMixtureLikelihood",
    "GaussianLikelihood",
    "Likelihood",
    "PixelLikelihood",
]
