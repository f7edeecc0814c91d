"""Pick points by index, differentiably."""

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
    if features.dim() != 3 or indices.dim() not in (2, 3) or len(features) != len(indices):
        raise ValueError(
            "gather_points takes features (B, M, C) and indices (B, N) or (B, N, k), not "
            f"{tuple(features.shape)} and {tuple(indices.shape)}"
        )
    channels = features.shape[2]
    flat = indices.flatten(1).unsqueeze(2).expand(-1, -1, channels)  # (B, N * k, C)
    return features.gather(1, flat).reshape(*indices.shape, channels)
