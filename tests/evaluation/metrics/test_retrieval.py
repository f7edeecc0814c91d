import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from pc_crvae.embedding.cosine import unit_rows
from pc_crvae.evaluation.metrics import retrieval
from pc_crvae.evaluation.metrics.retrieval import retrieve


def at_angles(*degrees):
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def slow_average_precision(query, features, labels):
    """scikit-learn's, of one query against the others."""
    others = np.arange(len(labels)) != query
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    # Rounded, as products that are equal on paper may differ by a last digit.
    cosines = np.round(units[others] @ units[query], 12)
    return average_precision_score(labels[others] == labels[query], cosines)


def test_a_case_worked_by_hand():
    # a at 0 sees a (10), b (20), a (40), b (50): hits at places 1 and 3: (1 + 2/3) / 2
    features = at_angles(0, 10, 20, 40, 50)
    labels = np.array([0, 0, 1, 0, 1])
    found = retrieve(features, labels, (1, 2, 4))
    assert found.queries == 5
    assert found.alone == 0
    expected = [
        (1 + 2 / 3) / 2,  # a at 0
        # a at 10 is as far from 0 (a) as from 20 (b): one rank of two places, then 40 (a)
        (1 / 2 + 2 / 3) / 2,
        1 / 4,  # b at 20 sees 10 (a), then 0 and 40 (a), then 50: place 4
        # a at 40 sees 50 (b), 20 (b), 10 (a), 0 (a)
        (1 / 3 + 2 / 4) / 2,
        1 / 2,  # b at 50 sees 40 (a), 20 (b)
    ]
    np.testing.assert_allclose(found.average_precisions, expected)
    assert found.mean_average_precision == pytest.approx(np.mean(expected))
    # at 1: right, half of a shared rank, wrong, wrong, wrong
    assert found.precision_at[1] == pytest.approx((1 + 1 / 2 + 0 + 0 + 0) / 5)
    assert found.precision_at[2] == pytest.approx((1 / 2 + 1 / 2 + 0 + 0 + 1 / 2) / 5)
    assert found.precision_at[4] == pytest.approx((2 + 2 + 1 + 2 + 1) / 4 / 5)


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_scikit_learn_s(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(60, 5))
    features[20:30] = features[10:20]  # exact duplicates, across classes too
    features[40:50] = np.round(features[40:50])  # and further equal distances
    labels = rng.integers(0, 4, size=60)
    found = retrieve(features, labels)
    expected = [slow_average_precision(query, features, labels) for query in range(60)]
    np.testing.assert_allclose(found.average_precisions, expected, atol=1e-12)


def test_precision_at_k_is_the_mean_over_the_orders_of_equals():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(12, 3))[rng.integers(0, 4, size=40)]
    labels = rng.integers(0, 3, size=40)
    found = retrieve(features, labels, (1, 5, 10))
    cosines = np.round(unit_rows(features) @ unit_rows(features).T, 12)
    drawn = []
    for _ in range(300):
        order = rng.permutation(40)
        for query in range(40):
            others = order[order != query]
            ranked = others[np.argsort(-cosines[query, others], kind="stable")]
            right = labels[ranked] == labels[query]
            drawn.append([right[:k].mean() for k in (1, 5, 10)])
    np.testing.assert_allclose(
        list(found.precision_at.values()), np.mean(drawn, axis=0), atol=0.008
    )


def test_the_order_of_the_split_does_not_matter():
    rng = np.random.default_rng(1)
    features = np.round(rng.normal(size=(50, 2)))
    labels = rng.integers(0, 3, size=50)
    order = rng.permutation(50)
    one, other = retrieve(features, labels), retrieve(features[order], labels[order])
    np.testing.assert_allclose(one.average_precisions[order], other.average_precisions, atol=1e-12)
    for k, precision in one.precision_at.items():
        assert other.precision_at[k] == pytest.approx(precision)


def test_queries_in_parts_score_as_all_at_once(monkeypatch):
    rng = np.random.default_rng(2)
    features, labels = rng.normal(size=(30, 4)), rng.integers(0, 3, size=30)
    whole = retrieve(features, labels)
    monkeypatch.setattr(retrieval, "_QUERIES_AT_ONCE", 7)
    parts = retrieve(features, labels)
    np.testing.assert_allclose(whole.average_precisions, parts.average_precisions, atol=1e-12)
    assert whole.precision_at == pytest.approx(parts.precision_at)


def test_classes_apart_are_found_perfectly_and_equal_features_at_the_share_of_the_class():
    labels = np.repeat([0, 1], 6)
    apart = retrieve(at_angles(*range(6), *range(90, 96)), labels, (1, 5))
    assert apart.mean_average_precision == 1
    assert apart.precision_at == {1: 1, 5: 1}
    collapsed = retrieve(np.ones((12, 3)), labels, (1, 5))
    assert collapsed.mean_average_precision == pytest.approx(5 / 11)
    assert collapsed.precision_at == pytest.approx({1: 5 / 11, 5: 5 / 11})


def test_only_directions_count_and_a_row_of_zeros_is_as_far_from_all():
    features = at_angles(0, 10, 80, 90)
    labels = np.array([0, 0, 1, 1])
    scaled = features * np.array([[1e-200], [1e200], [3], [0.1]])
    assert retrieve(scaled, labels, (1,)).mean_average_precision == 1
    lost = retrieve(np.vstack([features, [[0, 0]]]), np.array([0, 0, 1, 1, 0]), (1,))
    assert lost.average_precisions[4] == pytest.approx(1 / 2)  # one rank: 2 of 4


def test_a_shape_alone_in_its_class_is_sought_by_none_and_does_not_ask():
    found = retrieve(at_angles(0, 5, 3), np.array([0, 0, 7]), (1, 2, 3))
    assert found.queries == 2
    assert found.alone == 1
    np.testing.assert_allclose(found.average_precisions, [1 / 2, 1 / 2])
    assert found.precision_at == {1: 0, 2: 1 / 2}  # k = 3 has not enough others
