"""Cosine distances, 1 - cosine, which lie in [0, 2] whatever the length of the vectors."""

import numpy as np
from numpy.typing import NDArray


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale rows (n, d) to length 1, as float64; a row of zeros, which has no direction, stays."""
    rows = np.asarray(vectors, dtype=np.float64)
    # Divided by their largest value first, so that squares of tiny or huge ones stay in range.
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    rows = rows / np.where(largest > 0, largest, 1)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units: NDArray[np.float64] = rows / np.where(lengths > 0, lengths, 1)
    return units
