"""Cosine distances, 1 - cosine, which lie in [0, 2] whatever the length of the vectors."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray


def unit_rows(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale rows (n, d) to length 1, as float64; a row of zeros, which has no direction, stays."""
    rows = np.asarray(vectors, dtype=np.float64)
    # Divided by their largest value first, so that squares of tiny or huge ones stay in range.
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    rows = rows / np.where(largest > 0, largest, 1)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def nearest_of(
    vectors: NDArray[np.floating],
    queries: NDArray[np.floating],
    count: int,
    near: Callable[[NDArray[np.float64], int], Iterable[NDArray[np.int64]]],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rank those near to each query by their exact cosine distance.

    Args:
        vectors: (n, d).
        queries: (q, d).
        count: the number of hits wanted of each; no more are given than there are.
        near: gives, of the queries' directions (q, d) and the number of hits, the rising rows of
            vectors that may be among the hits of each query.

    Returns:
        Distances (q, min(count, n)), the nearest first, and the rows of these vectors.

    Raises:
        ValueError: queries of another size, or a count below 1.
    """
    if queries.ndim != 2 or queries.shape[1] != vectors.shape[1] or count < 1:
        raise ValueError(
            f"expected queries (q, {vectors.shape[1]}) and a count above 0, got {queries.shape} "
            f"and {count}"
        )
    count = min(count, len(vectors))
    units = unit_rows(queries)
    distances = np.empty((len(units), count))
    rows = np.empty((len(units), count), dtype=np.int64)
    for place, (unit, candidates) in enumerate(zip(units, near(units, count), strict=True)):
        # Half the squared distance of unit vectors is 1 - cosine, without its cancellation.
        exact = np.square(unit_rows(vectors[candidates]) - unit).sum(axis=1) / 2
        first = np.argsort(exact, kind="stable")[:count]
        distances[place], rows[place] = exact[first], candidates[first]
    return distances, rows
