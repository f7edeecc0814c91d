import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from benchmarks.textbook import neighbors as reference
from pc_crvae.geometry import (
    gather_points,
    k_nearest_neighbors,
    mutual_nearest_neighbors,
    nearest_neighbors,
)
from pc_crvae.geometry.kernels import reference as kernels

# Few distinct values: duplicates and equally near points abound, and squares are exact.
lattice_clouds = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=st.integers(-2, 2)
)
few_examples = settings(deadline=None, max_examples=25)


def random_points(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dimension", [1, 3, 64])
def test_the_nearest_neighbors_equal_the_loop(dimension):
    query, others = random_points(3, 20, dimension), random_points(3, 31, dimension, seed=1)
    indices = nearest_neighbors(query, others)
    assert indices.dtype == torch.int64
    for b in range(3):
        expected = reference.nearest_neighbors(query[b].numpy(), others[b].numpy())
        np.testing.assert_array_equal(indices[b], expected)


@few_examples
@given(query=lattice_clouds, others=lattice_clouds)
def test_among_equally_near_points_the_lowest_index_is_nearest(query, others):
    indices = nearest_neighbors(torch.from_numpy(query)[None], torch.from_numpy(others)[None])
    np.testing.assert_array_equal(indices[0], reference.nearest_neighbors(query, others))


@pytest.mark.parametrize("block_bytes", [1, 200, 1500, kernels._CPU_BLOCK_BYTES])
def test_the_mutual_search_equals_two_searches_at_any_block_size(block_bytes, monkeypatch):
    x, y = random_points(5, 20, 3), random_points(5, 31, 3, seed=1)
    x, y = torch.cat([x, x.round()], 1), torch.cat([y, y.round()], 1)  # ties across blocks too
    expected = nearest_neighbors(x, y), nearest_neighbors(y, x)
    monkeypatch.setattr(kernels, "_CPU_BLOCK_BYTES", block_bytes)
    for indices, wanted in zip(mutual_nearest_neighbors(x, y), expected, strict=True):
        assert torch.equal(indices, wanted)


def test_a_small_cloud_far_from_the_origin_keeps_its_neighbors():
    cloud = 1000 + (random_points(1, 200, 3) * 2**13).round() / 2**13  # on float32's own grid
    query, others = cloud[:, :100], cloud[:, 100:]
    expected = reference.nearest_neighbors(query[0].numpy(), others[0].numpy())
    np.testing.assert_array_equal(nearest_neighbors(query, others)[0], expected)


@pytest.mark.parametrize("dimension", [3, 64])
@pytest.mark.parametrize("block_bytes", [1, 1500, kernels._CPU_BLOCK_BYTES])
def test_the_k_nearest_neighbors_equal_the_loop(dimension, block_bytes, monkeypatch):
    monkeypatch.setattr(kernels, "_CPU_BLOCK_BYTES", block_bytes)
    points = random_points(4, 25, dimension)
    indices = k_nearest_neighbors(points, 7)
    assert indices.shape == (4, 25, 7)
    distances = (gather_points(points, indices) - points.unsqueeze(2)).norm(dim=3)
    for b in range(4):
        expected = reference.k_nearest_distances(points[b].numpy(), 7)
        np.testing.assert_allclose(distances[b], expected, rtol=1e-5)


@few_examples
@given(cloud=lattice_clouds, data=st.data())
def test_a_point_is_first_among_its_neighbors_even_beside_duplicates(cloud, data):
    k = data.draw(st.integers(1, len(cloud)))
    points = torch.from_numpy(cloud)[None]
    indices = k_nearest_neighbors(points, k)
    assert torch.equal(indices[0, :, 0], torch.arange(len(cloud)))
    assert all(len(set(row)) == k for row in indices[0].tolist())
    distances = (gather_points(points, indices) - points.unsqueeze(2)).norm(dim=3)
    np.testing.assert_allclose(distances[0], reference.k_nearest_distances(cloud, k), rtol=1e-6)


def test_searches_carry_no_gradient_and_ignore_autocast():
    points = random_points(2, 300, 3).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        nearest = nearest_neighbors(points, points.flip(1))
        k_nearest = k_nearest_neighbors(points, 5)
    assert not nearest.requires_grad
    assert torch.equal(nearest, nearest_neighbors(points, points.flip(1)))
    assert torch.equal(k_nearest, k_nearest_neighbors(points, 5))


def test_half_precision_is_searched_in_float32():
    points = random_points(2, 100, 3).bfloat16()
    queries = random_points(2, 50, 3, seed=1).bfloat16()
    expected = nearest_neighbors(queries.float(), points.float())
    assert torch.equal(nearest_neighbors(queries, points), expected)


@pytest.mark.parametrize(
    ("query_shape", "reference_shape"),
    [((5, 3), (5, 3)), ((2, 5, 3), (1, 5, 3)), ((2, 5, 3), (2, 5, 4)), ((2, 5, 3), (2, 0, 3))],
)
@pytest.mark.parametrize("search", [nearest_neighbors, mutual_nearest_neighbors])
def test_clouds_that_do_not_match_are_refused(search, query_shape, reference_shape):
    with pytest.raises(ValueError, match="cloud"):
        search(torch.zeros(query_shape), torch.zeros(reference_shape))


def test_an_empty_query_is_answered_one_way_and_refused_both_ways():
    empty, cloud = torch.zeros(2, 0, 3), torch.zeros(2, 5, 3)
    assert nearest_neighbors(empty, cloud).shape == (2, 0)
    with pytest.raises(ValueError, match="empty"):
        mutual_nearest_neighbors(empty, cloud)


@pytest.mark.parametrize("k", [0, 6])
def test_k_outside_the_cloud_is_refused(k):
    with pytest.raises(ValueError, match="between 1 and the 5 points"):
        k_nearest_neighbors(torch.zeros(1, 5, 3), k)
