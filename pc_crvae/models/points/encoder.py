"""What every encoder of points offers, and how features of points are pooled."""

from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from pc_crvae.models.registry import Encoder

Pooling = Literal["max", "mean", "max_mean"]
"""Over the points: their maximum, their mean, or the maximum and then the mean."""


@runtime_checkable
class PointEncoder(Encoder, Protocol):
    """An encoder of clouds (B, N, 3), whose features evaluators can pool in their own way.

    ``encoder(points)`` equals ``encoder.pool(encoder.forward_features(points), pooling)`` at the
    encoder's own pooling, up to rounding, and may take less memory and time.
    """

    def forward_features(self, points: Tensor) -> Tensor:
        """The features (B, N, F) of each point of clouds (B, N, 3)."""

    def pool(self, features: Tensor, pooling: Pooling) -> Tensor:
        """Pool what `forward_features` gave to (B, F), or to (B, 2 F) with ``max_mean``."""


@runtime_checkable
class MirroringEncoder(PointEncoder, Protocol):
    """An encoder that encodes mirror images of a cloud together in less time than one by one."""

    def forward_mirrored(self, points: Tensor, signs: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) times each of the ``signs`` (V, 3) to (B V, out_features)."""


def pool_over_points(features: Tensor, pooling: Pooling) -> Tensor:
    """Pool ``features`` (B, N, F) over the points to (B, F), or to (B, 2 F) with ``max_mean``."""
    if pooling == "max":
        return features.amax(dim=1)
    mean = features.mean(dim=1)
    return mean if pooling == "mean" else torch.cat([features.amax(dim=1), mean], dim=1)
