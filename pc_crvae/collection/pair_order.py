"""The order in which pairs are compared, so that few files are read more than once."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import reverse_cuthill_mckee

Pair = tuple[int, int]


def by_neighborhood(pairs: Sequence[Pair]) -> list[Pair]:
    """Order pairs so that those of one shape, and of the shapes paired with it, lie close together.

    Shapes are ranked by the reverse Cuthill-McKee order of the graph of all pairs (Cuthill and
    McKee 1969), which keeps the ranks of a pair close together.

    Args:
        pairs: rows of shapes.
    """
    if not pairs:
        return []
    rows, places = np.unique(np.array(pairs), return_inverse=True)
    first, second = places.reshape(-1, 2).T
    ends = np.concatenate([first, second]), np.concatenate([second, first])
    graph = csr_matrix((np.ones(2 * len(pairs)), ends), shape=(len(rows), len(rows)))
    ranks = np.empty(len(rows), dtype=np.int64)
    ranks[reverse_cuthill_mckee(graph, symmetric_mode=True)] = np.arange(len(rows))
    low, high = np.sort(np.stack([ranks[first], ranks[second]]), axis=0)
    return [pairs[place] for place in np.lexsort((high, low))]
