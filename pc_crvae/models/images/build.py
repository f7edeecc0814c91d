"""From configuration to the likelihood and the transforms of images."""

import math
from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from pc_crvae import likelihoods
from pc_crvae.config import images
from pc_crvae.likelihoods.logistic import mixture_parameters
from pc_crvae.transforms.images import TRANSFORMS, ComposeImages, ImageTransform, RoundToLevels

# A standard deviation of half a level of 256: pixels that never change would else be worth
# infinitely many nats.
_LOWEST_LOG_VARIANCE = 2 * math.log(0.5 / 255)


def build_likelihood(
    config: images.ImageLikelihoodConfig, channels: int
) -> tuple[int, Callable[[Tensor], likelihoods.PixelLikelihood]]:
    """How many numbers a pixel C' a decoder gives, and what makes a likelihood of (B, C', H, W)."""
    if isinstance(config, images.BernoulliLikelihoodConfig):
        return channels, likelihoods.BernoulliLikelihood
    if isinstance(config, images.GaussianLikelihoodConfig):
        if config.standard_deviation is None:
            return 2 * channels, _gaussian_of_both
        log_variance = 2 * math.log(config.standard_deviation)
        return channels, partial(likelihoods.GaussianLikelihood, log_variance=log_variance)
    if isinstance(config, images.DiscretizedLogisticLikelihoodConfig):
        return 2 * channels, likelihoods.DiscretizedLogisticLikelihood
    of_mixture = partial(likelihoods.DiscretizedLogisticMixtureLikelihood, channels=channels)
    return mixture_parameters(channels, config.components), of_mixture


def has_levels(likelihood: images.ImageLikelihoodConfig) -> bool:
    """Whether it gives probabilities of the 256 levels of a pixel, and of nothing between them."""
    return isinstance(
        likelihood,
        images.DiscretizedLogisticLikelihoodConfig
        | images.DiscretizedLogisticMixtureLikelihoodConfig,
    )


def build_image_transform(transforms: Sequence[images.ImageTransformConfig]) -> ImageTransform:
    """The listed transforms of images one after the other."""
    return ComposeImages([TRANSFORMS[listed.name](**listed.arguments()) for listed in transforms])


def onto_levels(
    transform: ImageTransform, likelihood: images.ImageLikelihoodConfig
) -> ImageTransform:
    """``transform`` with results that ``likelihood`` is a likelihood of.

    Resampled images lie between the levels, and are rounded to them where the likelihood has such.
    Pixels that are to be black or white are drawn instead, see `pc_crvae.objectives.binarization`.
    """
    return ComposeImages([transform, RoundToLevels()]) if has_levels(likelihood) else transform


def _gaussian_of_both(parameters: Tensor) -> likelihoods.GaussianLikelihood:
    """Means, then log-variances, of all channels."""
    mean, log_variance = parameters.chunk(2, dim=1)
    return likelihoods.GaussianLikelihood(mean, log_variance.clamp(min=_LOWEST_LOG_VARIANCE))
