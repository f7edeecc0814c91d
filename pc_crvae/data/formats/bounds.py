"""The box about points, which NumPy finds many times as fast column by column as along an axis."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def bounds(points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the lower and the upper corner of the box about points, NaN where a coordinate is.

    Args:
        points: (..., N, C), N > 0, of any real type.

    Returns:
        (..., C) each, of the same type.

    Raises:
        ValueError: there are no points.
    """
    columns = [points[..., k] for k in range(points.shape[-1])]
    low = np.stack([column.min(axis=-1) for column in columns], axis=-1)
    high = np.stack([column.max(axis=-1) for column in columns], axis=-1)
    return low, high
