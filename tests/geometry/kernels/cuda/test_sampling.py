"""The farthest points that the Triton kernels choose, against the plain form."""

import numpy as np
import pytest
import torch

from benchmarks.textbook import neighbors as reference
from helpers.triton_kernels import DEVICE, kernels, lattice, randn, runs_kernels
from helpers.ugly_clouds import both_dtypes
from pc_crvae.geometry import farthest_point_sampling


@runs_kernels
@both_dtypes
@pytest.mark.parametrize(("n_points", "count"), [(1, 1), (40, 12), (129, 40), (2500, 5)])
def test_the_farthest_points_equal_the_plain_form(n_points, count, dtype):
    points = randn(3, n_points, 3, dtype=dtype)
    start = torch.tensor([0, n_points // 2, n_points - 1], device=DEVICE)
    chosen = kernels().farthest_points(points, count, start)
    assert chosen.dtype == torch.int64
    assert chosen.equal(farthest_point_sampling(points, count, start))
    if n_points < 100:
        for b in range(3):
            expected = reference.farthest_point_sampling(
                points[b].cpu().numpy(), count, int(start[b])
            )
            np.testing.assert_array_equal(chosen[b].cpu(), expected)


@runs_kernels
@both_dtypes
def test_the_farthest_among_equals_is_the_lowest_index_and_none_comes_twice(dtype):
    points = lattice(1, 50, dtype=dtype)
    start = torch.tensor([7], device=DEVICE)
    chosen = kernels().farthest_points(points, 50, start)[0].cpu()
    expected = reference.farthest_point_sampling(points[0].cpu().numpy(), 50, 7)
    np.testing.assert_array_equal(chosen, expected)
    collapsed = torch.ones(2, 9, 3, dtype=dtype, device=DEVICE)
    chosen = kernels().farthest_points(collapsed, 9, torch.zeros(2, dtype=torch.int64).to(DEVICE))
    assert chosen.tolist() == [list(range(9))] * 2


@runs_kernels
def test_the_farthest_points_pass_over_nan_distances():
    points = randn(1, 20, 3)
    points[0, 4, 2] = torch.nan
    start = torch.zeros(1, dtype=torch.int64, device=DEVICE)
    chosen = kernels().farthest_points(points, 20, start)[0].tolist()
    assert chosen[:2] == [0, 4]
    assert sorted(chosen) == list(range(20))
