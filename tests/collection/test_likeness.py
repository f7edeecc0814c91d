import numpy as np

from pc_crvae.collection import likeness
from pc_crvae.collection.likeness import distances_of_pairs, shares_not_closer


def at(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def apart(degrees):
    return 1 - np.cos(np.radians(degrees))


def test_a_share_counts_the_pairs_that_are_not_closer():
    found = distances_of_pairs(at(0, 10, 30, 70))  # apart by 10, 20, 30, 40, 60 and 70 degrees
    distances = apart([[0, 10, 15], [20, 70, 80]])
    expected = np.array([[6, 6, 5], [5, 1, 0]]) / 6
    np.testing.assert_allclose(shares_not_closer(found, distances), expected)


def test_the_length_of_a_vector_says_nothing():
    vectors = at(0, 10, 30, 70)
    longer = vectors * [[1], [100], [0.01], [7]]
    np.testing.assert_allclose(distances_of_pairs(longer), distances_of_pairs(vectors))


def test_of_many_pairs_some_are_drawn_which_give_nearly_the_same_share(monkeypatch):
    vectors = np.random.default_rng(3).normal(size=(300, 3))
    whole = distances_of_pairs(vectors)
    monkeypatch.setattr(likeness, "_PAIRS", 20_000)
    drawn = distances_of_pairs(vectors)
    assert len(whole) == 300 * 299 // 2
    assert len(drawn) == 20_000
    distances = np.linspace(0.1, 1.9, 10)
    np.testing.assert_allclose(
        shares_not_closer(drawn, distances), shares_not_closer(whole, distances), atol=0.02
    )
    np.testing.assert_array_equal(drawn, distances_of_pairs(vectors))


def test_one_shape_has_no_pair_to_be_held_against():
    assert shares_not_closer(distances_of_pairs(at(5)), np.array([0.3])).tolist() == [1]
