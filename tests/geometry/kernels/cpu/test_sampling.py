"""The farthest points that the fast kernels choose, against the reference and the loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.textbook import neighbors as loops
from helpers.ugly_clouds import (
    BOUNDARIES,
    both_dtypes,
    by_reference,
    few_examples,
    lattice_clouds,
    randint,
    randn,
    ugly_clouds,
)
from pc_crvae.geometry import farthest_point_sampling


@both_dtypes
@pytest.mark.parametrize("count", BOUNDARIES)
def test_the_farthest_points_are_the_references_at_any_size(count, dtype):
    points, start = randn(3, count, 3, dtype=dtype), randint(count, 3)
    for chosen in {1, (count + 1) // 2, count}:
        found = farthest_point_sampling(points, chosen, start)
        expected = by_reference(farthest_point_sampling, points, chosen, start)
        assert torch.equal(found, expected)


@few_examples
@given(cloud=lattice_clouds.filter(lambda cloud: len(cloud) <= 40), data=st.data())
def test_the_farthest_points_of_a_lattice_are_the_loops(cloud, data):
    count = data.draw(st.integers(1, min(len(cloud), 12)))
    start = data.draw(st.integers(0, len(cloud) - 1))
    found = farthest_point_sampling(torch.from_numpy(cloud)[None], count, torch.tensor([start]))
    np.testing.assert_array_equal(found[0], loops.farthest_point_sampling(cloud, count, start))


@both_dtypes
@pytest.mark.parametrize("case", ugly_clouds(torch.float32))
def test_the_farthest_points_of_ugly_clouds_are_the_references(case, dtype):
    points = ugly_clouds(dtype)[case]
    count = min(points.shape[1], 30)
    expected = by_reference(farthest_point_sampling, points, count)
    assert torch.equal(farthest_point_sampling(points, count), expected)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_points_that_are_not_finite_are_chosen_once_at_most(value):
    points = randn(2, 70, 3)
    points[0, ::6, 1] = value
    points[1] = value
    for count in (5, 70):
        found = farthest_point_sampling(points, count)
        assert found.min() >= 0
        assert found.max() < 70
        assert all(len(set(row)) == count for row in found.tolist())
