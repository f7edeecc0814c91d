"""Edge convolution as the paper writes it: every edge's input is formed, then multiplied."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def edge_conv(
    features: Tensor,
    neighbors: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    normalize: Callable[[Tensor], Tensor],
) -> Tensor:
    """Maximum over k neighbours j of LeakyReLU_0.2(normalize(W [x_j - x_i ; x_i] + b)).

    ``features`` (B, N, C), ``neighbors`` (B, N, k), ``weight`` (C', 2C) give (B, N, C').
    ``normalize`` takes rows (B * N * k, C').
    """
    batch, count, k = neighbors.shape
    edges = torch.stack(
        [
            torch.cat([features[b, j] - features[b, i], features[b, i]])
            for b in range(batch)
            for i in range(count)
            for j in neighbors[b, i].tolist()
        ]
    )
    activated = F.leaky_relu(normalize(F.linear(edges, weight, bias)), 0.2)
    return activated.reshape(batch, count, k, -1).amax(dim=2)
