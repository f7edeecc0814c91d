"""The nearest and the k nearest that the Triton kernels find, against the loops."""

import numpy as np
import pytest
import torch

from benchmarks.textbook import neighbors as reference
from helpers.triton_kernels import DEVICE, kernels, lattice, randint, randn, runs_kernels
from helpers.ugly_clouds import both_dtypes
from pc_crvae.geometry import gather_points, k_nearest_neighbors, nearest_neighbors


@runs_kernels
@both_dtypes
@pytest.mark.parametrize(
    ("n_query", "n_reference"), [(1, 1), (1, 300), (40, 1), (37, 128), (45, 259)]
)
def test_the_nearest_equals_the_loop(n_query, n_reference, dtype):
    query, others = randn(2, n_query, 3, dtype=dtype), randn(2, n_reference, 3, dtype=dtype, seed=1)
    found = kernels().nearest(query, others)
    assert found.dtype == torch.int64
    for b in range(2):
        expected = reference.nearest_neighbors(query[b].cpu().numpy(), others[b].cpu().numpy())
        np.testing.assert_array_equal(found[b].cpu(), expected)


@runs_kernels
@both_dtypes
def test_the_nearest_among_equals_is_the_lowest_index(dtype):
    query, others = lattice(1, 33, dtype=dtype), lattice(1, 300, dtype=dtype)
    expected = reference.nearest_neighbors(query[0].cpu().numpy(), others[0].cpu().numpy())
    np.testing.assert_array_equal(kernels().nearest(query, others)[0].cpu(), expected)
    collapsed = torch.ones(1, 300, 3, dtype=dtype, device=DEVICE)
    assert kernels().nearest(query, collapsed).eq(0).all()


@runs_kernels
@pytest.mark.parametrize("scale", [1e-18, 1e-6, 1e6, 1e18])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_the_nearest_survives_scale_and_distance_from_the_origin(scale, offset):
    query, others = randn(1, 20, 3) + offset, randn(1, 150, 3, seed=1) + offset
    expected = nearest_neighbors(query.double(), others.double())
    assert (
        kernels()
        .nearest(query * scale, others * scale)
        .equal(nearest_neighbors((query * scale).double(), (others * scale).double()))
    )
    assert kernels().nearest(query, others).equal(expected)


@runs_kernels
@both_dtypes
def test_a_nan_distance_is_never_the_nearest(dtype):
    query, others = randn(1, 20, 3, dtype=dtype), randn(1, 200, 3, dtype=dtype, seed=1)
    query[0, 3, 1] = torch.nan
    others[0, ::2, 0] = torch.nan
    found = kernels().nearest(query, others)[0].cpu()
    odd = nearest_neighbors(query, others[:, 1::2])[0].cpu() * 2 + 1
    odd[3] = 0
    np.testing.assert_array_equal(found, odd)
    assert kernels().nearest(query, torch.full_like(others, torch.nan)).eq(0).all()


@runs_kernels
def test_an_overflowed_distance_beats_nan():
    others = torch.full((1, 5, 3), torch.nan, device=DEVICE)
    others[0, 2:4] = 1e30
    assert kernels().nearest(torch.zeros(1, 1, 3, device=DEVICE), others).item() == 2


@runs_kernels
@both_dtypes
@pytest.mark.parametrize(("count", "k"), [(1, 1), (3, 3), (130, 1), (33, 20), (140, 6), (17, 17)])
def test_the_k_nearest_have_the_loops_distances_in_order(count, k, dtype):
    points = randn(2, count, 3, dtype=dtype)
    found = kernels().k_nearest(points, k)
    assert found.dtype == torch.int64
    assert found[..., 0].equal(torch.arange(count, device=DEVICE).expand(2, count))
    assert found.equal(k_nearest_neighbors(points.double(), k))
    distances = (gather_points(points, found) - points[:, :, None]).double().norm(dim=3).cpu()
    for b in range(2):
        expected = reference.k_nearest_distances(points[b].cpu().numpy(), k)
        np.testing.assert_allclose(distances[b], expected, rtol=1e-5)


def ordered_neighbors(points, k):
    """(N, k) by distance, then index, the point first; exact where coordinates are integers."""
    squared = (points[:, None] - points).square().sum(dim=2)
    squared.fill_diagonal_(-1.0)
    return squared.sort(dim=1, stable=True).indices[:, :k]


@runs_kernels
def test_the_k_nearest_are_ordered_by_distance_then_index_with_the_point_first():
    points = lattice(1, 140)
    assert kernels().k_nearest(points, 9)[0].equal(ordered_neighbors(points[0], 9))


@runs_kernels
def test_the_k_nearest_of_a_collapsed_cloud_are_the_point_and_the_first_others():
    found = kernels().k_nearest(torch.ones(1, 140, 3, device=DEVICE), 7)[0].tolist()
    assert found == [[i, *[j for j in range(8) if j != i][:6]] for i in range(140)]


@runs_kernels
def test_the_k_nearest_may_all_lie_in_one_lane():
    """Columns 128 apart pass through one lane, which keeps two a sweep."""
    points = randint(50, (1, 400, 3)).float() + 100.0
    points[0, ::128] = torch.arange(4.0, device=DEVICE)[:, None] ** 2
    found = kernels().k_nearest(points, 4)[0]
    assert found[0].tolist() == [0, 128, 256, 384]
    assert found.equal(ordered_neighbors(points[0], 4))


@runs_kernels
def test_the_k_nearest_are_k_different_points_also_where_distances_are_nan_or_overflow():
    points = randn(1, 30, 3)
    points[0, 5] = torch.nan
    points[0, 7] = torch.inf
    points[0, 9] = 3e38
    found = kernels().k_nearest(points, 30)[0]
    assert found.sort(dim=1).values.equal(torch.arange(30, device=DEVICE).expand(30, 30))
    assert found[:, 0].equal(torch.arange(30, device=DEVICE))
    assert found[0, -3:].tolist() == [5, 7, 9]
