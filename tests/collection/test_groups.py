"""Groups without labels, their names, outliers, neighbours and the map."""

import numpy as np

from pc_crvae.collection.groups import find_groups, find_outliers, reduced
from pc_crvae.collection.layout import STEPS, lay_out
from pc_crvae.collection.neighbors import nearest_others
from pc_crvae.embedding.cosine import unit_rows


def three_clusters(each=20, spread=0.05):
    rng = np.random.default_rng(0)
    centers = np.eye(3, 40)
    return unit_rows(np.repeat(centers, each, axis=0) + spread * rng.normal(size=(3 * each, 40)))


IDS = [
    *(f"bolts/m8/{row}" for row in range(20)),
    *(f"misc/gear_{row:03d}" for row in range(20)),
    *(f"misc/{row}" for row in range(20)),
]


def test_groups_are_the_clusters_named_by_words_of_their_paths_or_by_their_middle():
    groups = find_groups(reduced(three_clusters()), IDS)
    assert sorted(sorted(group.rows) for group in groups) == [
        [*range(20)],
        [*range(20, 40)],
        [*range(40, 60)],
    ]
    names = {min(group.rows): group.name for group in groups}
    assert names[0] == "bolts"
    assert names[20] == "gear"
    medoid = next(group.medoid for group in groups if 40 in group.rows)
    assert names[40] == f"like {IDS[medoid]}"


def test_most_of_the_shapes_are_no_group():
    rng = np.random.default_rng(0)
    near = np.repeat(unit_rows(rng.normal(size=(2, 40))) * 0.1 + np.eye(1, 40), 25, axis=0)
    far = np.repeat(-np.eye(1, 40), 8, axis=0)
    units = unit_rows(np.concatenate([near, far]) + 0.005 * rng.normal(size=(58, 40)))
    sizes = sorted(len(group.rows) for group in find_groups(reduced(units), [""] * 58))
    assert sizes == [8, 25, 25]


def test_few_shapes_have_no_groups_and_equal_ones_do_no_harm():
    assert find_groups(reduced(np.eye(4)), IDS[:4]) == []
    equal = np.tile(np.eye(1, 5), (30, 1))
    codes = reduced(equal)
    assert np.isfinite(codes).all()
    assert np.isfinite(lay_out(codes)).all()


def test_what_is_far_from_all_others_is_an_outlier():
    nearest = np.full(40, 0.1) + np.linspace(0, 0.01, 40)
    nearest[[7, 30]] = 0.5, 0.9
    assert find_outliers(nearest).tolist() == [30, 7]
    assert len(find_outliers(np.array([0.1, 5.0]))) == 0


def test_neighbours_are_those_of_a_search_through_all():
    rng = np.random.default_rng(1)
    units = unit_rows(rng.normal(size=(600, 7))).astype(np.float32)
    rows, distances = nearest_others(units, 5)
    exact = 1 - units.astype(np.float64) @ units.T.astype(np.float64)
    np.fill_diagonal(exact, np.inf)
    np.testing.assert_array_equal(rows, np.argsort(exact, axis=1)[:, :5])
    np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :5], atol=1e-6)


def test_neighbours_of_one_shape_or_two_are_those_there_are():
    assert nearest_others(np.eye(1, 3), 5)[0].shape == (1, 0)
    assert nearest_others(np.eye(2, 3), 5)[0].tolist() == [[1], [0]]


def test_the_map_is_the_same_each_time_and_keeps_clusters_together():
    codes = reduced(three_clusters())
    places = lay_out(codes)
    np.testing.assert_array_equal(places, lay_out(codes))
    assert np.abs(places).max() <= 1
    near, _ = nearest_others(unit_rows(np.pad(places, ((0, 0), (0, 1)), constant_values=3)), 1)
    assert (near[:, 0] // 20 == np.arange(60) // 20).mean() > 0.9
    assert lay_out(codes[:3]).shape == (3, 2)


def test_the_steps_of_the_map_are_told_and_nothing_is_printed(capsys):
    done = []
    lay_out(reduced(three_clusters()), lambda: done.append(None))
    assert 100 <= len(done) <= STEPS
    assert capsys.readouterr().out == ""
