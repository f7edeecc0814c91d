"""Multi-layer perceptrons over the last dimension."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.models.batch_norm import BatchNorm


class Perceptron(nn.Module):
    """Linear, optional batch-norm, (leaky) ReLU over the last dimension: (..., C) -> (..., C').

    On a cloud's features (B, N, C) it is a perceptron shared by all points.

    Args:
        in_features: C.
        out_features: C'.
        batch_norm: normalise before the activation, which makes the linear's bias redundant.
        negative_slope: slope of the activation below zero; 0 is the plain ReLU.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        batch_norm: bool = False,
        negative_slope: float = 0.0,
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=not batch_norm)
        self.norm = norm_of(out_features, batch_norm)
        self.negative_slope = negative_slope

    def forward(self, features: Tensor) -> Tensor:
        """Map ``features`` (..., C) to (..., C')."""
        return F.leaky_relu(self.norm(self.linear(features)), self.negative_slope)


def norm_of(features: int, batch_norm: bool) -> BatchNorm | nn.Identity:
    """Return the batch-norm that follows a layer, or nothing in its place."""
    return BatchNorm(features) if batch_norm else nn.Identity()


def mlp(in_features: int, widths: Sequence[int], *, batch_norm: bool) -> nn.Sequential:
    """Stack ReLU perceptrons of the given ``widths`` on ``in_features`` inputs."""
    return nn.Sequential(
        *(
            Perceptron(before, after, batch_norm=batch_norm)
            for before, after in pairwise((in_features, *widths))
        )
    )


def in_full_precision(layer: nn.Module, features: Tensor) -> Tensor:
    """Apply ``layer`` in its parameters' own precision, whatever the autocast.

    For the last layer before coordinates or a posterior's parameters, whose rounding would be
    noise in every distance and KL.
    """
    dtype = next(layer.parameters()).dtype
    with torch.autocast(features.device.type, enabled=False):
        output: Tensor = layer(features.to(dtype))
        return output
