"""The fast search for the k nearest in space, on ugly clouds too."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.textbook import neighbors as loops
from helpers.crossing import crossed
from helpers.ugly_clouds import (
    BOUNDARIES,
    assert_k_nearest,
    both_dtypes,
    few_examples,
    randn,
    squared_distances,
    ugly_clouds,
)
from pc_crvae.geometry import gather_points, k_nearest_neighbors


@both_dtypes
@pytest.mark.parametrize("case", ugly_clouds(torch.float32))
def test_the_k_nearest_in_space_are_the_nearest_on_ugly_clouds(case, dtype):
    points = ugly_clouds(dtype)[case]
    for k in {1, min(2, points.shape[1]), min(20, points.shape[1]), min(101, points.shape[1])}:
        assert_k_nearest(points, k, k_nearest_neighbors(points, k))


@pytest.mark.parametrize("count", BOUNDARIES)
@pytest.mark.parametrize("dimensions", [3, 5])
def test_the_k_nearest_are_the_loops_at_any_size_up_to_all_points(count, dimensions):
    points = randn(2, count, dimensions)
    for k in {1, (count + 1) // 2, count}:
        found = k_nearest_neighbors(points, k)
        assert_k_nearest(points, k, found)
    if count <= 33:
        distances = (gather_points(points, found) - points.unsqueeze(2)).norm(dim=3)
        for b in range(2):
            expected = loops.k_nearest_distances(points[b].numpy(), count)
            np.testing.assert_allclose(distances[b], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
@few_examples
@given(data=st.data())
def test_the_k_nearest_of_a_lattice_full_of_duplicates_are_the_nearest(dimensions, data):
    shape = st.tuples(st.integers(1, 90), st.just(dimensions))
    cloud = data.draw(hnp.arrays(np.float32, shape, elements=st.integers(-1, 1)))
    k = data.draw(st.integers(1, len(cloud)))
    points = torch.from_numpy(cloud)[None]
    found = k_nearest_neighbors(points, k)
    assert_k_nearest(points, k, found)
    if dimensions != 3:  # where the order of equals is the order of the points
        squared = squared_distances(points[0], points[0]).fill_diagonal_(-1)
        expected = squared.sort(dim=1, stable=True).indices[:, :k]
        assert torch.equal(found[0], expected)


@pytest.mark.parametrize(
    ("k", "count", "value", "dimensions"),
    crossed([1, 5, 9], [1, 9, 20, 150], [torch.nan, torch.inf, 3e25], [3, 6]),
)
def test_points_beyond_measure_come_last_and_every_index_is_in_range(k, count, value, dimensions):
    if k > count:
        k = count
    points = randn(2, count, dimensions)
    points[0, :: min(5, count), -1] = value  # the first point among them
    points[1, 1:] = value  # all but one
    found = k_nearest_neighbors(points, k)
    for b in range(2):
        assert torch.equal(found[b, :, 0], torch.arange(count))
        assert found[b].min() >= 0
        assert found[b].max() < count
        assert all(len(set(row)) == k for row in found[b].tolist())
    usual = points[0].abs().lt(1e3).all(dim=1)
    if usual.any():
        squared = squared_distances(points[0], points[0])
        squared = squared.where(squared < 1e38, torch.inf).fill_diagonal_(-1)
        expected = squared.sort(dim=1).values[:, :k]
        chosen = squared.gather(1, found[0])
        torch.testing.assert_close(chosen[usual], expected[usual], rtol=1e-5, atol=0)
