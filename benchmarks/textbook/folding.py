"""The folding decoder as the paper writes it: the codeword is copied to every point."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def folding_decoder(latent: Tensor, source: Tensor, folds: Sequence[Sequence[nn.Linear]]) -> Tensor:
    """Fold ``source`` (M, D) under ``latent`` (B, L) to (B, M, 3).

    Each fold is its linear layers, the first on ``[latent ; point]``, with ReLU between them.
    """
    points = source.expand(len(latent), -1, -1)
    for layers in folds:
        copies = latent.unsqueeze(1).expand(-1, points.shape[1], -1)
        hidden = torch.cat([copies, points], dim=-1)
        for layer in layers[:-1]:
            hidden = torch.relu(layer(hidden))
        points = layers[-1](hidden)
    return points
