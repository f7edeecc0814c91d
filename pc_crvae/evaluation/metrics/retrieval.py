"""Retrieval: how well near features mean the same class, with no classifier in between.

Each shape asks for its like among all the others of its split, which are ranked by the cosine
distance of their features, taken as they are: what ``search`` ranks by, so that its users know
what to expect. On validation splits (300 procedural shapes, 278 of ModelNet10, a short training
of each, posterior means, 3 draws of points), the mean average precision by cosine was 0.1 to 0.8
points above that by Euclidean distance on unturned shapes; on turned ones it lay between 0.9
below and 0.7 above. The cosine was chosen: never far behind, and within [0, 2] whatever the model.

Shapes at one distance share one rank, so that no score depends on the order in which a split
holds its shapes:

- average precision is the step-wise area under precision and recall, taken where a rank ends,
  sum over ranks of (recall - recall before) * precision;
- precision at k is its mean over all orders of the shapes at the rank that k falls into.

A shape that is the only one of its class has nothing to find and does not ask.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pc_crvae.embedding.cosine import unit_rows
from pc_crvae.evaluation.metrics.arrays import Labels

PRECISION_AT = (1, 5, 10)
_QUERIES_AT_ONCE = 256  # bounds the rows of distances kept: 256 x 10,000 take 20 MB


@dataclass(frozen=True)
class Retrieval:
    """What a split's shapes find of their classes among each other.

    Attributes:
        average_precisions: (q,) one per shape that asked, in [0, 1], in the split's order.
        mean_average_precision: the mean of the average precisions.
        precision_at: mean precision at each k that the split has shapes for.
        queries: q.
        alone: shapes that did not ask, being the only ones of their class.
    """

    average_precisions: NDArray[np.float64]
    mean_average_precision: float
    precision_at: dict[int, float]
    queries: int
    alone: int


def retrieve(
    features: NDArray[np.floating], labels: Labels, ks: tuple[int, ...] = PRECISION_AT
) -> Retrieval:
    """Rank, for each shape, all the others, and score how early those of its class come.

    Args:
        features: (n, d) finite.
        labels: (n,) the class of each; some class has two shapes or more.
        ks: the k of precision at k; those above n - 1 are left out.
    """
    _, of_class, class_sizes = np.unique(labels, return_inverse=True, return_counts=True)
    asking = np.flatnonzero(class_sizes[of_class] > 1)
    ks = tuple(k for k in ks if k < len(labels))
    units = unit_rows(features)
    precisions, at_k = [], []
    for start in range(0, len(asking), _QUERIES_AT_ONCE):
        rows = asking[start : start + _QUERIES_AT_ONCE]
        # To 12 decimals: a product may round in the last of 16 digits what is equal on paper, and
        # features, being float32, tell nothing apart beyond the twelfth.
        found = np.round(1 - units[rows] @ units.T, 12)
        found[np.arange(len(rows)), rows] = -np.inf  # oneself, in front of all
        order = np.argsort(found, axis=1, kind="stable")[:, 1:]
        ranked = np.take_along_axis(found, order, axis=1)
        relevant = of_class[order] == of_class[rows, None]
        precision, at = _score(ranked, relevant, ks)
        precisions.append(precision)
        at_k.append(at)
    average_precisions = np.concatenate(precisions)
    mean_at_k = np.concatenate(at_k).mean(axis=0)
    precision_at = {k: float(value) for k, value in zip(ks, mean_at_k, strict=True)}
    mean, alone = float(average_precisions.mean()), len(labels) - len(asking)
    return Retrieval(average_precisions, mean, precision_at, len(asking), alone)


def _score(
    distances: NDArray[np.float64], relevant: NDArray[np.bool_], ks: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score rankings.

    Args:
        distances: (q, m) ascending along each row.
        relevant: (q, m) whether the shape there is of the query's class; some is, in each row.
        ks: each at most m.

    Returns:
        Average precisions (q,), and precisions at each k (q, len(ks)).
    """
    hits = np.cumsum(relevant, axis=1)  # (q, m)
    # The last place of the rank that a place lies in, and the last one of the rank before (-1).
    last = rankdata(distances, "max", axis=1).astype(np.int64) - 1
    before = rankdata(distances, "min", axis=1).astype(np.int64) - 2
    hits_to_last = np.take_along_axis(hits, last, axis=1)
    precision = hits_to_last / (last + 1)
    averages = np.where(relevant, precision, 0).sum(axis=1) / hits[:, -1]

    row = np.arange(len(hits))
    at_k = np.empty((len(hits), len(ks)))
    for column, k in enumerate(ks):
        end, begin = last[:, k - 1], before[:, k - 1]
        sure = np.where(begin >= 0, hits[row, begin], 0)
        share = (hits[row, end] - sure) / (end - begin)
        at_k[:, column] = (sure + share * (k - 1 - begin)) / k
    return averages, at_k
