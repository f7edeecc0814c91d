import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.clustering import agreement, cluster


def blobs(spread, seed=0):
    labels = np.arange(120) % 4
    centres = 4 * np.eye(4, 5)
    return centres[labels] + spread * np.random.default_rng(seed).normal(size=(120, 5)), labels


def test_clusters_far_apart_are_found_whatever_they_are_called():
    features, labels = blobs(0.2)
    found = cluster(features, 4)
    assert agreement(labels, found)[0] == pytest.approx(1)
    assert agreement(3 - labels, found)[1] == pytest.approx(1)


def test_clusters_that_are_not_the_classes_score_near_nothing():
    features, _ = blobs(0.2)
    unrelated = np.random.default_rng(1).integers(4, size=len(features))
    nmi, ari = agreement(unrelated, cluster(features, 4))
    assert abs(ari) < 0.1
    assert nmi < 0.1


def test_scores_are_those_of_hand_and_of_scikit_learn():
    labels, found = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    # H(labels) = log 2, H(found) = 1.5 log 2, mutual information log 2.
    assert agreement(labels, found)[0] == pytest.approx(2 / 2.5)
    assert agreement(labels, found)[1] == pytest.approx(adjusted_rand_score(labels, found))
    features, classes = blobs(2.0)
    clusters = cluster(features, 4)
    nmi, _ = agreement(classes, clusters)
    assert nmi == pytest.approx(normalized_mutual_info_score(classes, clusters))


def test_the_same_seed_gives_the_same_clusters_and_more_starts_no_looser_ones():
    features, _ = blobs(2.0)
    np.testing.assert_array_equal(cluster(features, 9, seed=3), cluster(features, 9, seed=3))

    def looseness(clusters):
        return sum(
            np.square(features[clusters == k] - features[clusters == k].mean(axis=0)).sum()
            for k in np.unique(clusters)
        )

    once = [looseness(cluster(features, 9, restarts=1, seed=seed)) for seed in range(4)]
    assert looseness(cluster(features, 9, restarts=10)) <= min(once) * 1.02


def test_more_clusters_than_items_and_nan_are_refused():
    features, _ = blobs(1.0)
    with pytest.raises(UserError, match="3 items cannot be put into 4 clusters"):
        cluster(features[:3], 4)
    features[2] = np.nan
    with pytest.raises(UserError, match="1 of 120 rows"):
        cluster(features, 4)
