import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from pc_crvae.evaluation.metrics.generation import (
    coverage,
    generation_metrics,
    jensen_shannon_divergence,
    minimum_matching_distance,
    one_nearest_neighbor_accuracy,
    pairwise_distances,
)
from pc_crvae.evaluation.metrics.reconstruction import earth_movers_distance

RNG = np.random.default_rng(0)


def clouds(count, points=24):
    return RNG.uniform(-0.5, 0.5, size=(count, points, 3)).astype(np.float32)


def test_matching_and_coverage_by_hand():
    to_references = np.array([[1.0, 4.0, 6.0], [2.0, 3.0, 5.0]])
    assert minimum_matching_distance(to_references) == (1 + 3 + 5) / 3
    assert coverage(to_references) == 1 / 3  # the first reference is nearest to both
    assert coverage(np.array([[1.0, 4.0], [2.0, 1.0]])) == 1


def test_neighbours_by_hand():
    """Samples at 0 and 10, references at 1 and 2: 0 -> 1 wrong, 10 -> 2 wrong, 1 -> 0 or 2."""
    samples, references = np.array([0.0, 10.0]), np.array([1.0, 1.9])

    def between(x, y):
        return np.abs(x[:, None] - y)

    accuracy = one_nearest_neighbor_accuracy(
        between(samples, samples), between(samples, references), between(references, references)
    )
    assert accuracy == 2 / 4  # 1 -> 1.9 and 1.9 -> 1 are right


def test_two_copies_of_one_set():
    x = clouds(8)
    results = generation_metrics(x, x.copy()).plain()
    for distance in ("cd", "emd"):
        assert results[distance] == {"mmd": 0, "cov": 1, "1nna": 0}
    assert results["jsd"] == 0
    assert (results["samples"], results["references"], results["points"]) == (8, 8, 24)


def test_two_far_sets():
    x = clouds(8) / 10
    results = generation_metrics(x - 0.9, x + 0.9).plain()
    for distance in ("cd", "emd"):
        assert results[distance]["1nna"] == 1
        assert results[distance]["mmd"] > 1
    assert results["jsd"] == 1


def test_two_draws_of_one_distribution_cannot_be_told_apart():
    results = generation_metrics(clouds(60, 8), clouds(60, 8))
    assert 0.3 < results.cd.one_nna < 0.7
    assert 0.3 < results.emd.one_nna < 0.7


def test_matrices_hold_the_distance_of_every_pair():
    x, y = clouds(17), clouds(19)
    chamfer, matched = (pairwise_distances(x, y, name) for name in ("cd", "emd"))
    assert chamfer.shape == matched.shape == (17, 19)
    for row, column in [(0, 0), (3, 18), (16, 5)]:
        distances = np.linalg.norm(x[row][:, None] - y[column], axis=2)
        squares = np.square(distances.min(axis=1)).mean() + np.square(distances.min(axis=0)).mean()
        assert chamfer[row, column] == pytest.approx(squares, rel=1e-4)
        assert matched[row, column] == earth_movers_distance(x[row], y[column])


def test_workers_change_nothing():
    x, y = clouds(9), clouds(5)
    alone, together = (pairwise_distances(x, y, "emd", workers=count) for count in (1, 2))
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize("distance", ["cd", "emd"])
@pytest.mark.parametrize("workers", [1, 2])
def test_within_one_set_each_pair_is_that_of_the_whole_matrix(distance, workers):
    x = clouds(7)
    within = pairwise_distances(x, None, distance, workers=workers)
    np.testing.assert_allclose(within, pairwise_distances(x, x, distance), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(within, within.T, rtol=1e-5)


def test_progress_is_told_after_each_matched_cloud():
    steps = []
    generation_metrics(clouds(3, 8), clouds(4, 8), advance=lambda: steps.append(None))
    assert len(steps) == 2 * 3 + 4


def lattice() -> np.ndarray:
    """PointFlow's places, twice as far apart: 27 steps from face to face of the cube, in the ball.

    Of odd multiples of a half step 2 / 27: their squares add up to 3 modulo 8, and never to 27^2,
    so that none lies on the sphere itself.
    """
    odd = range(-27, 28, 2)
    return (
        np.array(
            [(x, y, z) for x in odd for y in odd for z in odd if x * x + y * y + z * z <= 27**2]
        )
        / 27
    )


def test_the_divergence_is_that_of_counts_at_the_places_of_pointflows_lattice():
    x, y = clouds(20) * 1.9, clouds(20)
    places = lattice()
    counts = [
        np.bincount(
            np.square(points.reshape(-1, 1, 3) - places).sum(axis=2).argmin(axis=1),
            minlength=len(places),
        )
        for points in (x, y)
    ]
    expected = jensenshannon(*counts, base=2) ** 2
    assert jensen_shannon_divergence(x, y) == pytest.approx(expected)


def test_what_lies_outside_the_ball_counts_at_its_nearest_place():
    """Cells of the cube, as they were counted once, would hold a corner apart from the ball."""
    outside, corner = np.full((1, 4, 3), 7.0), np.full((1, 4, 3), 0.999)
    inside = np.full((1, 4, 3), 0.56)
    assert jensen_shannon_divergence(outside, corner) == 0
    assert jensen_shannon_divergence(corner, inside) == 0
    assert len(lattice()) == 10144
