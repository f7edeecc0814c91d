"""Pick points by index, differentiably."""

import torch
from torch import Tensor


def gather_points(features: Tensor, indices: Tensor) -> Tensor:
    """Return the features of the points that ``indices`` name, cloud by cloud.

    Args:
        features: (B, M, C), any dtype.
        indices: (B, N) or (B, N, k) int64 in [0, M).

    Returns:
        (B, N, C) or (B, N, k, C). The gradient adds up over repeated indices.

    Raises:
        ValueError: a shape other than those above, or two batch sizes.
    """
    if features.dim() != 3 or indices.dim() not in (2, 3) or features.shape[0] != indices.shape[0]:
        raise ValueError(
            "gather_points takes features (B, M, C) and indices (B, N) or (B, N, k), not "
            f"{tuple(features.shape)} and {tuple(indices.shape)}"
        )
    batch, count, channels = features.shape
    # One index into all clouds' points copies whole rows, where gather reads an index an entry.
    offsets = count * torch.arange(batch, device=indices.device).unsqueeze(1)
    rows = (indices.flatten(1) + offsets).flatten()  # (B * N * k,)
    picked = features.reshape(batch * count, channels).index_select(0, rows)
    return picked.reshape(*indices.shape, channels)
