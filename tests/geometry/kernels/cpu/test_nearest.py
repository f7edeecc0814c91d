"""The fast search for the nearest, by scan and by sorted blocks, on ugly clouds too."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.textbook import neighbors as loops
from helpers.ugly_clouds import (
    BOUNDARIES,
    UGLY_PAIRS,
    assert_nearest,
    both_dtypes,
    few_examples,
    lattice_clouds,
    lower_dtypes,
    randint,
    randn,
    squared_distances,
    ugly_pairs,
    views,
)
from pc_crvae.geometry import (
    farthest_point_sampling,
    k_nearest_neighbors,
    mutual_nearest_neighbors,
    nearest_neighbors,
    pool_neighbors,
)
from pc_crvae.geometry.kernels import cpu


@both_dtypes
@pytest.mark.parametrize("case", UGLY_PAIRS)
def test_the_nearest_are_the_nearest_on_ugly_clouds(case, dtype, strategy):
    query, reference = ugly_pairs(dtype)[case]
    found = nearest_neighbors(query, reference)
    assert_nearest(query, reference, found)
    x_to_y, y_to_x = mutual_nearest_neighbors(query, reference)
    assert torch.equal(x_to_y, found)
    assert_nearest(reference, query, y_to_x)


@pytest.mark.parametrize("n_query", BOUNDARIES)
def test_the_nearest_are_the_loops_at_any_size(n_query, strategy):
    for n_reference in (1, 16, 17, 64, 65, 130):
        query, reference = randn(2, n_query, 3), randn(2, n_reference, 3, seed=1)
        found = nearest_neighbors(query, reference)
        for b in range(2):
            expected = squared_distances(query[b], reference[b]).argmin(dim=1)
            assert torch.equal(found[b], expected), n_reference
    np.testing.assert_array_equal(
        found[0], loops.nearest_neighbors(query[0].numpy(), reference[0].numpy())
    )


@few_examples
@given(query=lattice_clouds, reference=lattice_clouds, sorting_pays=st.sampled_from([0, 2**60]))
def test_among_equally_near_points_both_ways_find_the_lowest_index(query, reference, sorting_pays):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "_SORTING_PAYS", sorting_pays)
        found = nearest_neighbors(torch.from_numpy(query)[None], torch.from_numpy(reference)[None])
    np.testing.assert_array_equal(found[0], loops.nearest_neighbors(query, reference))


@both_dtypes
def test_of_copies_in_many_blocks_the_lowest_index_is_nearest_whatever_rounds(dtype, strategy):
    for seed in range(40):
        query, others = randn(1, 1, 3, seed=seed, dtype=dtype), randn(1, 50, 3, dtype=dtype)
        copies = query + 1e-3 * randn(1, 1, 3, seed=seed + 99, dtype=dtype)
        reference = torch.cat([others, copies.expand(1, 300, 3), others], 1)
        assert nearest_neighbors(query, reference).item() == 50


@both_dtypes
def test_among_equals_in_distant_blocks_the_lowest_index_is_nearest(dtype, strategy):
    """Blocks whose bound is the very distance found already have to be looked into."""
    # Along the curve all others lie between the first point and those as near as it is, and the
    # last ones share a block with it whose box begins where it is.
    first, copies = torch.tensor([[1.0, 0, 0]]), torch.tensor([[-1.0, 0, 0]]).expand(20, 3)
    between = torch.tensor([1.0, -2.5, -2.5]) + 0.4 * randn(200, 3).tanh()
    beside = first - torch.linspace(0.05, 0.5, 40).unsqueeze(1) * torch.tensor([0.0, 1, 1])
    corners = torch.tensor([[-3.0, -3, -3], [3, 3, 3]])
    reference = torch.cat([first, copies, between, beside, corners]).unsqueeze(0).to(dtype)
    assert nearest_neighbors(torch.zeros(1, 1, 3, dtype=dtype), reference).item() == 0


def test_both_ways_agree_at_the_size_where_they_take_turns(monkeypatch):
    query, reference = randn(1, 60, 3), randn(1, 70, 3, seed=1)
    used = []
    sort = cpu._sorted_blocks
    monkeypatch.setattr(cpu, "_sorted_blocks", lambda points: used.append(points) or sort(points))
    monkeypatch.setattr(cpu, "_SORTING_PAYS", 60 * 70 + 1)
    scanned = nearest_neighbors(query, reference)
    assert not used
    monkeypatch.setattr(cpu, "_SORTING_PAYS", 60 * 70)
    assert torch.equal(nearest_neighbors(query, reference), scanned)
    assert len(used) == 2


@pytest.mark.parametrize("where", ["query", "reference", "both"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_points_that_are_not_finite_leave_the_others_their_neighbors(where, value, strategy):
    query, reference = randn(1, 200, 3), randn(1, 300, 3, seed=1)
    good_queries = torch.ones(200, dtype=torch.bool)
    if where != "reference":
        for axis in range(3):  # the first of the sorted ones among them
            query[0, 7 + axis :: 37, axis] = value
        good_queries = query[0].isfinite().all(dim=1)
    if where != "query":
        for axis in range(3):
            reference[0, axis::41, axis] = value
    found = nearest_neighbors(query, reference)[0]
    assert ((found >= 0) & (found < 300)).all()
    expected = squared_distances(query[0], reference[0]).nan_to_num(nan=torch.inf).argmin(dim=1)
    assert torch.equal(found[good_queries], expected[good_queries])


@pytest.mark.parametrize("axis", range(3))
def test_a_nan_in_front_of_a_group_of_queries_leaves_the_others_their_neighbors(axis, strategy):
    query, reference = randn(1, 60, 3), randn(1, 300, 3, seed=1)
    query[0, 17] = -9  # the first along the curve
    query[0, 17, axis] = torch.nan
    expected = squared_distances(query[0], reference[0]).argmin(dim=1)
    found = nearest_neighbors(query, reference)[0]
    others = torch.arange(60) != 17
    assert torch.equal(found[others], expected[others])


def test_clouds_of_nothing_but_nan_get_indices_within_range(strategy):
    nothing = torch.full((2, 70, 3), torch.nan)
    assert nearest_neighbors(nothing, randn(2, 90, 3)).eq(0).all()
    assert nearest_neighbors(randn(2, 90, 3), nothing).eq(0).all()


def test_an_empty_query_and_an_empty_batch_are_answered(strategy):
    assert nearest_neighbors(torch.zeros(2, 0, 3), torch.zeros(2, 5, 3)).shape == (2, 0)
    assert nearest_neighbors(torch.zeros(0, 4, 3), torch.zeros(0, 5, 3)).shape == (0, 4)
    assert k_nearest_neighbors(torch.zeros(0, 4, 3), 2).shape == (0, 4, 2)
    assert k_nearest_neighbors(torch.zeros(0, 4, 5), 2).shape == (0, 4, 2)


def test_the_layout_in_memory_changes_no_search(strategy):
    x, y, features = randn(3, 40, 3), randn(3, 50, 3, seed=1), randn(3, 40, 7)
    nearest, in_space = nearest_neighbors(x, y), k_nearest_neighbors(x, 6)
    in_features, farthest = k_nearest_neighbors(features, 6), farthest_point_sampling(x, 9)
    for x_view, y_view, features_view in zip(views(x), views(y), views(features), strict=True):
        assert torch.equal(nearest_neighbors(x_view, y_view), nearest)
        assert torch.equal(k_nearest_neighbors(x_view, 6), in_space)
        assert torch.equal(k_nearest_neighbors(features_view, 6), in_features)
        assert torch.equal(farthest_point_sampling(x_view, 9), farthest)


@lower_dtypes
def test_lower_dtypes_are_searched_and_pooled_in_float32(dtype, strategy):
    x, y, features = (t.to(dtype) for t in (randn(2, 40, 3), randn(2, 50, 3), randn(2, 40, 9)))
    indices = randint(40, 2, 40, 4)
    assert torch.equal(nearest_neighbors(x, y), nearest_neighbors(x.float(), y.float()))
    assert torch.equal(k_nearest_neighbors(x, 6), k_nearest_neighbors(x.float(), 6))
    assert torch.equal(k_nearest_neighbors(features, 6), k_nearest_neighbors(features.float(), 6))
    assert torch.equal(farthest_point_sampling(x, 9), farthest_point_sampling(x.float(), 9))
    expected = pool_neighbors(features.float(), indices)
    for value, wanted in zip(pool_neighbors(features, indices), expected, strict=True):
        assert value.dtype == torch.float32
        assert torch.equal(value, wanted)


def test_of_two_dtypes_the_finer_is_searched_in(strategy):
    query, reference = randn(1, 40, 3), 1 + 1e-9 * randn(1, 50, 3, dtype=torch.float64)
    found = nearest_neighbors(query, reference)
    assert torch.equal(found, nearest_neighbors(query.double(), reference))
    assert torch.equal(found[0], squared_distances(query[0], reference[0]).argmin(dim=1))
