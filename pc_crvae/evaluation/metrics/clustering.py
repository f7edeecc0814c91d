"""Clustering: how far the clusters of features are the classes, with no label in their making."""

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from threadpoolctl import threadpool_limits

from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.arrays import Labels, check_features


def cluster(
    features: NDArray[np.floating], clusters: int, *, restarts: int = 10, seed: int = 0
) -> Labels:
    """Return the k-means cluster (n,) of each item, the tightest of several starts.

    Args:
        features: (n, d) finite; distances are Euclidean, so scale matters.
        clusters: k.
        restarts: starts by k-means++.
        seed: the seed of the starts.

    Raises:
        UserError: fewer items than clusters, or features that are not finite.
    """
    check_features(features, "features to cluster")
    if len(features) < clusters:
        raise UserError(
            f"{len(features)} items cannot be put into {clusters} clusters: add items, or leave "
            "clustering out of the protocol"
        )
    means = KMeans(clusters, n_init=restarts, random_state=seed, algorithm="lloyd")
    # With one thread numbers do not depend on the cores; items that coincide leave clusters empty,
    # which is scored like any other partition.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assigned: Labels = means.fit_predict(features.astype(np.float64)).astype(np.int64)
    return assigned


def agreement(labels: Labels, clusters: Labels) -> tuple[float, float]:
    """Score clusters (n,) against classes (n,); neither's numbering matters.

    Returns:
        Normalised mutual information, by the arithmetic mean of the entropies, in [0, 1], and the
        adjusted Rand index; 0 is chance, 1 the same partition.
    """
    nmi = normalized_mutual_info_score(labels, clusters)
    return float(nmi), float(adjusted_rand_score(labels, clusters))
