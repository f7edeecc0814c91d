"""The order of comparisons: every pair once, and those of neighbours close together."""

from itertools import pairwise

import numpy as np

from pc_crvae.collection.pair_order import by_neighborhood


def test_every_pair_stays_once():
    rng = np.random.default_rng(0)
    drawn = rng.integers(500, size=(300, 2)).tolist()
    pairs = sorted({(min(pair), max(pair)) for pair in drawn if pair[0] != pair[1]})
    assert sorted(by_neighborhood(pairs)) == pairs
    assert by_neighborhood(pairs) == by_neighborhood(pairs)
    assert by_neighborhood([]) == []


def test_pairs_of_neighbours_lie_close_together_however_their_rows_are_numbered():
    names = np.random.default_rng(0).permutation(1000)
    chain = [tuple(sorted((int(a), int(b)))) for a, b in pairwise(names)]
    ordered = by_neighborhood(sorted(chain))
    shared = [set(a) & set(b) for a, b in pairwise(ordered)]
    assert all(shared)
