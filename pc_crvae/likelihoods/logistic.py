"""Discretised logistics over 256 levels, alone and mixed (Salimans et al. 2017, arXiv 1701.05517).

Levels 0..255 stand for the values 0..1 in steps of 1/255. The probability of a level is the
logistic's mass within half a step of it, and the two outermost levels take the tails, so that the
256 probabilities sum to 1. Means and scales are those of values rescaled to [-1, 1].
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from pc_crvae.likelihoods.base import PixelLikelihood, at_least_float32, sum_of_items
from pc_crvae.randomness.draws import Draws

LEVELS = 256
LOWEST_LOG_SCALE = -7.0
"""Log-scales are cut off here, after the paper: a scale of a tenth of a level, beneath which
nothing is gained but overflow."""

_HALF_STEP = 1.0 / (LEVELS - 1)  # on [-1, 1], where a step is 2/255


class DiscretizedLogisticLikelihood(PixelLikelihood):
    """Every channel of every pixel a discretised logistic of its own.

    Args:
        parameters: (B, 2C, H, W), the means of all channels, then their log-scales.
    """

    def __init__(self, parameters: Tensor) -> None:
        if parameters.dim() != 4 or parameters.shape[1] % 2:
            raise ValueError(
                "a discretised logistic takes (B, 2C, H, W) means and log-scales, not "
                f"{tuple(parameters.shape)}"
            )
        self.location, raw = at_least_float32(parameters).chunk(2, dim=1)
        self.log_scale = raw.clamp(min=LOWEST_LOG_SCALE)

    @property
    def mean(self) -> Tensor:
        """The logistics' centres, cut to [0, 1]: (B, C, H, W)."""
        return _to_unit(self.location)

    def sample(self, draws: Draws) -> Tensor:
        """Draw a level for each channel of each pixel: (B, C, H, W) in steps of 1/255."""
        uniform = _open_uniform(draws, self.location)
        return _nearest_level(_logistic(self.location, self.log_scale, uniform)).detach()

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability in nats of the levels ``x`` (B, C, H, W) in steps of 1/255: (B,)."""
        rescaled = 2 * x.to(self.location) - 1
        return sum_of_items(_log_mass(rescaled, self.location, self.log_scale))


class DiscretizedLogisticMixtureLikelihood(PixelLikelihood):
    """Every pixel a mixture of discretised logistics over all its channels at once.

    Within a component the mean of a channel is shifted linearly by the observed values of the
    channels before it (green by red; blue by red and green), so that colours hang together
    (PixelCNN++, section 2.2).

    Args:
        parameters: (B, K + 2CK + C(C-1)/2 K, H, W): the K mixture logits, the K means and then the
            K log-scales of each channel, the K coefficients of each pair of channels (before
            tanh), in the order (1,0), (2,0), (2,1). See `mixture_parameters`.
        channels: C.

    Raises:
        ValueError: the number of parameters fits no K.
    """

    def __init__(self, parameters: Tensor, channels: int) -> None:
        per_component = mixture_parameters(channels, components=1)
        if parameters.dim() != 4 or parameters.shape[1] % per_component:
            raise ValueError(
                f"a mixture of discretised logistics of {channels} channels takes "
                f"(B, {per_component}K, H, W) parameters, not {tuple(parameters.shape)}"
            )
        components = parameters.shape[1] // per_component
        batch, _, height, width = parameters.shape
        parts = at_least_float32(parameters).reshape(
            batch, per_component, components, height, width
        )
        pairs = channels * (channels - 1) // 2
        logits, self.location, raw, coefficients = torch.split(
            parts, [1, channels, channels, pairs], dim=1
        )
        self.log_weight = F.log_softmax(logits.squeeze(1), dim=1)  # (B, K, H, W)
        self.log_scale = raw.clamp(min=LOWEST_LOG_SCALE)  # (B, C, K, H, W), as is location
        self.coefficients = torch.tanh(coefficients)  # (B, pairs, K, H, W)
        self.channels = channels

    @property
    def mean(self) -> Tensor:
        """The weighted centres of the components, each cut to [0, 1]: (B, C, H, W)."""
        centres: list[Tensor] = []
        for channel in range(self.channels):
            centres.append(self._location(channel, centres).clamp(-1, 1))
        weighted = torch.stack(centres, dim=1) * self.log_weight.exp().unsqueeze(1)
        return _to_unit(weighted.sum(dim=2))

    def sample(self, draws: Draws) -> Tensor:
        """Draw a component for each pixel, then one channel's level after another."""
        gumbel = -torch.log(-torch.log(_open_uniform(draws, self.log_weight)))
        chosen = (self.log_weight + gumbel).argmax(dim=1, keepdim=True)  # (B, 1, H, W)
        levels: list[Tensor] = []
        for channel in range(self.channels):
            location = self._location(channel, levels).gather(1, chosen)
            log_scale = self.log_scale[:, channel].gather(1, chosen)
            uniform = _open_uniform(draws, location)
            levels.append(2 * _nearest_level(_logistic(location, log_scale, uniform)) - 1)
        return ((torch.cat(levels, dim=1) + 1) / 2).detach()

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-probability in nats of the levels ``x`` (B, C, H, W) in steps of 1/255: (B,)."""
        rescaled = (2 * x.to(self.location) - 1).unsqueeze(2)  # (B, C, 1, H, W)
        before = list(rescaled.unbind(1))
        location = torch.stack(
            [self._location(channel, before[:channel]) for channel in range(self.channels)], dim=1
        )
        log_mass = _log_mass(rescaled, location, self.log_scale).sum(dim=1)  # (B, K, H, W)
        return sum_of_items(torch.logsumexp(self.log_weight + log_mass, dim=1))

    def _location(self, channel: int, before: list[Tensor]) -> Tensor:
        """The components' means of ``channel`` given the ``before`` ones on [-1, 1]."""
        location = self.location[:, channel]
        first_pair = channel * (channel - 1) // 2
        for offset, value in enumerate(before):
            location = torch.addcmul(location, self.coefficients[:, first_pair + offset], value)
        return location  # (B, K, H, W)


def mixture_parameters(channels: int, components: int) -> int:
    """How many numbers a pixel of `DiscretizedLogisticMixtureLikelihood` takes."""
    return components * (1 + 2 * channels + channels * (channels - 1) // 2)


def _log_mass(x: Tensor, location: Tensor, log_scale: Tensor) -> Tensor:
    """Log-probability of the level at ``x``, everything on [-1, 1].

    sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)) keeps its digits however far
    in a tail the level lies.
    """
    inverse_scale = torch.exp(-log_scale)
    centred = x - location
    upper = (centred + _HALF_STEP) * inverse_scale
    lower = (centred - _HALF_STEP) * inverse_scale
    log_below, log_above = F.logsigmoid(upper), F.logsigmoid(-lower)
    within = log_below + log_above + _log_of_one_minus_exp(log_scale, inverse_scale)
    # Half a step from an end is nearer to it than to any other level.
    lowest, highest = x < -1 + _HALF_STEP, x > 1 - _HALF_STEP
    return torch.where(lowest, log_below, torch.where(highest, log_above, within))


def _log_of_one_minus_exp(log_scale: Tensor, inverse_scale: Tensor) -> Tensor:
    """log(1 - exp(-w)) for a step's width w in scales, whose exponential underflows where wide."""
    width = 2 * _HALF_STEP * inverse_scale
    series = math.log(2 * _HALF_STEP) - log_scale - width / 2 + width.square() / 24
    return torch.where(width < 1e-3, series, torch.log(-torch.expm1(-width.clamp(min=1e-3))))


def _logistic(location: Tensor, log_scale: Tensor, uniform: Tensor) -> Tensor:
    return location + torch.exp(log_scale) * torch.logit(uniform)


def _open_uniform(draws: Draws, like: Tensor) -> Tensor:
    """Uniforms strictly between 0 and 1, of which logarithms can be taken."""
    uniform = draws.uniform(*like.shape[1:]).to(like)
    return uniform.clamp(1e-7, 1 - 1e-7)


def _nearest_level(rescaled: Tensor) -> Tensor:
    """Values on [-1, 1] and beyond to the levels 0, 1/255, ... 1."""
    return (_to_unit(rescaled) * (LEVELS - 1)).round() / (LEVELS - 1)


def _to_unit(rescaled: Tensor) -> Tensor:
    return ((rescaled + 1) / 2).clamp(0, 1)
