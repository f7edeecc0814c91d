from itertools import permutations

import numpy as np
import pytest
import torch

from pc_crvae.evaluation.metrics.reconstruction import (
    earth_movers_distance,
    f_score,
    reconstruction_metrics,
)

RNG = np.random.default_rng(0)


def test_the_earth_movers_distance_is_the_least_over_all_matchings():
    x, y = RNG.normal(size=(2, 6, 3))
    least = min(
        np.linalg.norm(x - y[list(order)], axis=1).mean() for order in permutations(range(6))
    )
    assert earth_movers_distance(x, y) == pytest.approx(least)


def test_the_earth_movers_distance_of_a_moved_cloud_is_the_move():
    x = RNG.normal(size=(40, 3))
    moved = x[RNG.permutation(40)] + [0.003, 0.0, -0.004]
    assert earth_movers_distance(x, moved) == pytest.approx(0.005)
    assert earth_movers_distance(x, x[::-1]) == 0


def test_the_f_score_by_hand():
    x = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [5, 0, 0], [9, 0, 0]]])  # the first two are near y
    y = torch.tensor([[[0.1, 0, 0], [1.0, 0, 0.2], [20, 0, 0]]])  # all but the last are near x
    assert float(f_score(x, y, 0.3)) == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert float(f_score(x, y, 0.15)) == pytest.approx(2 * 0.25 * (1 / 3) / (0.25 + 1 / 3))
    assert float(f_score(x, y, 0.01)) == 0
    assert float(f_score(x, x, 1e-6)) == 1


def test_means_over_pairs_are_those_of_the_pairs():
    decoded, clouds = torch.rand(130, 20, 3), torch.rand(130, 30, 3)
    pairs = [
        reconstruction_metrics(decoded[row : row + 1], clouds[row : row + 1], emd_pairs=1)
        for row in range(130)
    ]
    together = reconstruction_metrics(decoded, clouds, emd_pairs=130)
    for name in ("chamfer_squared_sum", "chamfer_mean", "chamfer_max", "f_score", "emd"):
        assert getattr(together, name) == pytest.approx(
            np.mean([getattr(pair, name) for pair in pairs]), rel=1e-5
        )
    # Against the definition, spelt out.
    distances = torch.cdist(decoded[0], clouds[0])
    there, back = distances.min(dim=1).values, distances.min(dim=0).values
    squares = there.square().mean() + back.square().mean()
    assert pairs[0].chamfer_squared_sum == pytest.approx(float(squares), rel=1e-4)
    assert pairs[0].chamfer_mean == pytest.approx(float(there.mean() + back.mean()) / 2)
    assert pairs[0].chamfer_max == pytest.approx(float(max(there.mean(), back.mean())))
