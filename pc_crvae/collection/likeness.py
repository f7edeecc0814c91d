"""How much alike two shapes are beside all other pairs of the collection.

Distances of embeddings crowd near 0, as much as the model has them: what tells alike from unlike is
where a distance lies among those of all pairs.
"""

import numpy as np
from numpy.typing import NDArray

from pc_crvae.embedding.cosine import unit_rows

_PAIRS = 1 << 18
"""Pairs that are looked at. Where there are more, so many are drawn, the same each time."""

_AT_ONCE = 256
"""Pairs whose vectors stay in the processor's cache."""

_SCALED_AT_ONCE = 20_000
"""Vectors that are scaled once, in double precision, and not for every pair."""


def distances_of_pairs(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the cosine distances (p,) of pairs of different shapes, the smallest first.

    Args:
        vectors: (n, d) of the shapes of a collection.
    """
    count = len(vectors)
    if count * (count - 1) // 2 <= _PAIRS:
        first, second = np.triu_indices(count, k=1)
    else:
        rng = np.random.default_rng(0)
        first = rng.integers(count, size=_PAIRS)
        second = (first + rng.integers(1, count, size=_PAIRS)) % count
    units = unit_rows(vectors) if count <= _SCALED_AT_ONCE else None
    pairs = np.empty(len(first))
    for start in range(0, len(pairs), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        one, other = first[part], second[part]
        if units is None:
            apart = unit_rows(vectors[one]) - unit_rows(vectors[other])
        else:
            apart = units[one] - units[other]
        # Half the squared distance of unit vectors is 1 - cosine, without its cancellation.
        pairs[part] = np.square(apart).sum(axis=1) / 2
    return np.sort(pairs)


def shares_not_closer(
    pairs: NDArray[np.float64], distances: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the share of the pairs of a collection that are not closer than each distance.

    Args:
        pairs: (p,) their distances, the smallest first.
        distances: cosine distances, of any shape.

    Returns:
        Shares in [0, 1], of the shape of ``distances``. 1: no pair is closer. They are 1 where
        the collection has one shape, and so no pair.
    """
    if not len(pairs):
        return np.ones(np.shape(distances))
    # Distances that differ by rounding are the same one.
    closer = np.searchsorted(pairs, np.asarray(distances) - 1e-7, side="left")
    return 1 - closer / len(pairs)
