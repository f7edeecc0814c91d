"""The fast kernels of the CPU give what plain PyTorch and the loops give, on ugly clouds too."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from benchmarks.textbook import chamfer as chamfer_loops
from benchmarks.textbook import neighbors as loops
from helpers.crossing import crossed
from helpers.kernel_choice import forced
from pc_crvae.geometry import (
    chamfer_distance,
    edge_moments,
    farthest_point_sampling,
    gather_points,
    k_nearest_neighbors,
    mutual_nearest_neighbors,
    nearest_neighbors,
    pool_neighbors,
)
from pc_crvae.geometry.kernels import cpu
from pc_crvae.geometry.kernels.cpu import feature_search

few_examples = settings(deadline=None, max_examples=25)
BOTH_DTYPES = [torch.float32, torch.float64]
both_dtypes = pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.float64, marks=pytest.mark.slow)], ids=str
)
lower_dtypes = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
BOUNDARIES = [
    size if size in (1, 16, 65, 129) else pytest.param(size, marks=pytest.mark.slow)
    for size in (1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200)
]
"""Sizes beside those of blocks (16 points) and of groups of queries (32 or 64)."""

# Few distinct values: duplicates and equally near points abound, and squares are exact.
lattice_clouds = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 80), st.just(3)), elements=st.integers(-2, 2)
)


@pytest.fixture(autouse=True)
def _fast_kernels() -> Iterator[None]:
    with forced("fast"):
        yield


@pytest.fixture(params=["scan", "blocks"])
def strategy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to search for the nearest, whatever the size."""
    monkeypatch.setattr(cpu, "_SORTING_PAYS", 0 if request.param == "blocks" else float("inf"))
    return request.param


def by_reference(function: Callable, *arguments, **options):
    with forced("reference"):
        return function(*arguments, **options)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def randint(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def squared_distances(query: Tensor, reference: Tensor) -> Tensor:
    """(N, M), from the differences, in float64."""
    return (query.double().unsqueeze(1) - reference.double()).square().sum(dim=2)


def assert_nearest(query: Tensor, reference: Tensor, found: Tensor) -> None:
    """Each choice is the nearest but for the rounding of a distance, the lowest index of equals."""
    slack = 1 + 16 * torch.finfo(query.dtype).eps
    for b in range(len(query)):
        squared = squared_distances(query[b], reference[b])
        chosen = squared.gather(1, found[b].unsqueeze(1))
        assert (chosen <= slack * squared.amin(dim=1, keepdim=True)).all()
        same = (reference[b].unsqueeze(0) == reference[b][found[b]].unsqueeze(1)).all(dim=2)
        assert torch.equal(same.int().argmax(dim=1), found[b])


def assert_k_nearest(points: Tensor, k: int, found: Tensor) -> None:
    """The k least distances but for rounding, ascending, the point itself first, none twice."""
    batch, count, dimensions = points.shape
    assert found.shape == (batch, count, k)
    assert found.dtype == torch.int64
    slack = 1 + 4 * (dimensions + 2) * torch.finfo(points.dtype).eps
    for b in range(batch):
        assert found[b].min() >= 0
        assert found[b].max() < count
        assert torch.equal(found[b, :, 0], torch.arange(count))
        ordered = found[b].sort(dim=1).values
        assert (ordered.diff(dim=1) > 0).all()
        squared = squared_distances(points[b], points[b])
        chosen = squared.gather(1, found[b])
        assert (chosen <= slack * squared.sort(dim=1).values[:, :k]).all()
        assert (chosen[:, :-1] <= slack * chosen[:, 1:]).all()


def ugly_pairs(dtype: torch.dtype) -> dict[str, tuple[Tensor, Tensor]]:
    """Query and reference clouds, of sizes that no block divides."""
    x, y = randn(2, 75, 3, dtype=dtype), randn(2, 101, 3, seed=1, dtype=dtype)
    grid = (1000 + (x * 2**13).round() / 2**13, 1000 + (y * 2**13).round() / 2**13)
    point = torch.tensor([0.5, -0.25, 0.5], dtype=dtype)
    return {
        "random": (x, y),
        "duplicates": (torch.cat([x, x[:, :40]], 1), torch.cat([y[:, :50], y, x], 1)),
        "equal clouds": (x, x.clone()),
        "one point": (x[:, :1], y),
        "one point each": (x[:, :1], y[:, :1]),
        "one reference point": (x, y[:, :1]),
        "collapsed": (point.expand(2, 75, 3), y),
        "collapsed reference": (x, point.expand(2, 101, 3)),
        "collapsed onto each other": (point.expand(2, 75, 3), point.expand(2, 101, 3)),
        "collapsed, far away": (x, 50 + 1e-3 * y),
        "collapsed, in the middle": (x, 1e-3 * y),
        "on a line": (x * torch.eye(3, dtype=dtype)[0], y * torch.eye(3, dtype=dtype)[0]),
        "huge": (x * 1e15, y * 1e15),
        "tiny": (x * 1e-15, y * 1e-15),
        "huge beside tiny": (x * 1e15, y * 1e-15),
        "far from the origin": grid,
        "tiny, far from the origin": (1000 + 1e-3 * x, 1000 + 1e-3 * y),
        "one outlier": (x, torch.cat([y, torch.full((2, 1, 3), 1e6, dtype=dtype)], 1)),
    }


UGLY_PAIRS = list(ugly_pairs(torch.float32))


# Nearest neighbours, by scan and by sorted blocks.


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


def views(tensor: Tensor) -> Iterator[Tensor]:
    """The same values, laid out otherwise."""
    yield tensor.transpose(0, -1).contiguous().transpose(0, -1)
    yield tensor.transpose(1, 2).contiguous().transpose(1, 2)
    yield torch.stack([tensor, -tensor], dim=-1)[..., 0]
    yield torch.cat([tensor, tensor], dim=1)[:, : tensor.shape[1]]
    yield tensor.flip(1).contiguous().flip(1)
    yield tensor.clone().requires_grad_()


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


# The Chamfer distance on top of them.


@pytest.mark.parametrize(
    ("case", "squared", "directions"), crossed(UGLY_PAIRS, [True, False], ["sum", "max"])
)
def test_the_chamfer_distance_and_its_gradients_are_the_references(
    case, squared, directions, strategy
):
    pairs, results = ugly_pairs(torch.float32)[case], []
    for mode in ("fast", "reference"):
        leaves = [cloud.clone().requires_grad_() for cloud in pairs]
        with forced(mode):
            distance = chamfer_distance(*leaves, squared=squared, directions=directions)
        results.append([distance, *torch.autograd.grad(distance.sum(), leaves)])
    for value, expected in zip(*results, strict=True):
        scale = float(expected.detach().abs().max())
        torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6 * scale)


@few_examples
@given(x=lattice_clouds, y=lattice_clouds, sorting_pays=st.sampled_from([0, 2**60]))
def test_the_chamfer_distance_of_clouds_full_of_ties_is_the_triple_loops(x, y, sorting_pays):
    leaves = [torch.from_numpy(cloud)[None].requires_grad_() for cloud in (x, y)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "_SORTING_PAYS", sorting_pays)
        distance = chamfer_distance(*leaves)
    distance.sum().backward()
    expected, *gradients = chamfer_loops.chamfer_with_gradients(x, y)
    assert distance.item() == pytest.approx(expected, rel=1e-6)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        # Another choice among equals would move it by 2 / 80 at least.
        np.testing.assert_allclose(leaf.grad[0], gradient, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("which", [0, 1])
def test_a_nan_in_a_cloud_makes_its_chamfer_distance_nan_and_no_other(which, strategy):
    clouds = [randn(3, 90, 3), randn(3, 70, 3, seed=1)]
    clean = chamfer_distance(*clouds)
    clouds[which][1, 4, 2] = torch.nan
    distance = chamfer_distance(*clouds)
    assert distance.isnan().tolist() == [False, True, False]
    assert torch.equal(distance[[0, 2]], clean[[0, 2]])


# The k nearest, in space.


def ugly_clouds(dtype: torch.dtype) -> dict[str, Tensor]:
    clouds = {name: reference for name, (_, reference) in ugly_pairs(dtype).items()}
    x = randn(2, 100, 3, dtype=dtype)
    clouds["every point three times"] = x.repeat(1, 3, 1)
    clouds["two distant clusters"] = torch.cat([1e-3 * x, 100 + 1e-3 * x.flip(1)], 1)
    return clouds


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


# The k nearest, in feature space.


def ugly_features(dtype: torch.dtype) -> dict[str, Tensor]:
    x = randn(2, 150, 16, dtype=dtype)
    outlying = x.clone()
    outlying[:, ::10] *= 1e5
    cluster = 10 * torch.nn.functional.one_hot(torch.arange(3), 16).to(dtype)
    return {
        "random": x,
        "huge common offset": x + 1e4,
        "offset beyond the spread": (1e4 + 1e-2 * x),
        "outlying norms": outlying,
        "one outlier that takes the mean along": torch.cat([1e-3 * x, x[:, :1] + 1e4], 1),
        "tight clusters far apart": torch.cat([1e-6 * x[:, :75], 1000 + x[:, 75:]], 1),
        "many tight clusters": (cluster.repeat(50, 1) + 1e-4 * x),
        "collapsed": x[:, :1].expand(2, 150, 16),
        "more duplicates than candidates": x[:, :5].repeat(1, 30, 1),
        "duplicates beside an offset": x[:, :5].repeat(1, 30, 1) + 1e4,
        "pairs": x[:, :75].repeat_interleave(2, dim=1),
        "signs": x.sign(),
        "huge": x * 1e15,
        "tiny": x * 1e-15,
        "nearly collapsed": 1 + 1e-6 * x,
        "one dimension": x[..., :1],
        "one dimension, sorted": x[..., :1].sort(dim=1).values * 1e-3 + 100,
        "wide": randn(2, 90, 300, dtype=dtype),
        "no dimension that differs": torch.ones(2, 90, 300, dtype=dtype),
        "rectified": x.clamp(min=0),
    }


@both_dtypes
@pytest.mark.parametrize("case", ugly_features(torch.float32))
def test_the_k_nearest_in_feature_space_are_the_nearest_whatever_rounds(case, dtype):
    features = ugly_features(dtype)[case]
    for k in (1, 2, 20, 64, features.shape[1] if features.shape[1] <= 128 else 128):
        assert cpu.supports_k_nearest(features, k)
        assert_k_nearest(features, k, k_nearest_neighbors(features, k))


@pytest.mark.parametrize("case", ugly_features(torch.float32))
def test_products_of_another_rounding_within_its_bound_choose_the_same(case, monkeypatch):
    """The bound is what makes the search exact, so errors as large as it allows change nothing."""
    features = ugly_features(torch.float32)[case]
    expected = k_nearest_neighbors(features, 20)
    centered = features - features.mean(dim=1, keepdim=True)
    rank, calls = feature_search.rank_candidates, []

    def rank_after_rounding(points, squares, products, slack, *rest):
        """Spoil the products by half of the error of a sum of D terms in any order."""
        calls.append(len(products))
        if products.size:
            norms = np.sqrt(squares)
            worst = points.shape[1] * np.finfo(np.float32).eps / 2
            rows = norms[rest[0] : rest[0] + len(products)]
            sign = np.random.default_rng(0).choice([-1, 1], products.shape)
            products += (0.5 * worst * rows[:, None] * norms * sign).astype(np.float32)
        rank(points, squares, products, slack, *rest)

    monkeypatch.setattr(feature_search, "rank_candidates", rank_after_rounding)
    assert torch.equal(k_nearest_neighbors(features, 20), expected)
    assert sum(calls) >= centered.shape[0] * centered.shape[1]


def test_candidates_and_the_full_search_give_the_same_order(monkeypatch):
    rank = feature_search.rank_candidates
    for case, features in ugly_features(torch.float32).items():
        monkeypatch.setattr(feature_search, "rank_candidates", rank)
        expected = k_nearest_neighbors(features, 20)

        def rank_nothing_out(points, squares, products, slack, *rest):
            rank(points, squares, products, np.inf, *rest)

        monkeypatch.setattr(feature_search, "rank_candidates", rank_nothing_out)
        assert torch.equal(k_nearest_neighbors(features, 20), expected), case


def test_a_cloud_is_searched_in_parts_as_it_is_as_a_whole(monkeypatch):
    features = randn(2, 101, 8)
    expected = k_nearest_neighbors(features, 9)
    monkeypatch.setattr(cpu, "_PRODUCT_BYTES", 4 * 101 * 7)
    assert torch.equal(k_nearest_neighbors(features, 9), expected)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_products_of_lower_precision_do_not_enter_the_search(precision):
    features = randn(2, 300, 64) + 100
    expected = k_nearest_neighbors(features, 20)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        assert not cpu.supports_k_nearest(features, 20)
        assert cpu.supports_k_nearest(features[..., :3], 20)
        found = k_nearest_neighbors(features, 20)
    finally:
        torch.set_float32_matmul_precision(before)
    assert_k_nearest(features, 20, found)
    assert (found == expected).float().mean() > 0.99  # but for ties of rounding


@pytest.mark.skipif(
    not hasattr(torch.backends.mkldnn, "matmul"), reason="this torch has only the older setting"
)
def test_a_precision_set_in_the_newer_way_is_respected_too():
    setting, features = torch.backends.mkldnn.matmul, randn(1, 50, 8)
    before = setting.fp32_precision
    try:
        setting.fp32_precision = "bf16"
        assert not cpu.supports_k_nearest(features, 5)
        assert_k_nearest(features, 5, k_nearest_neighbors(features, 5))
    finally:
        setting.fp32_precision = before


def test_autocast_changes_no_search():
    features, clouds = randn(2, 150, 16) + 10, randn(2, 90, 3)
    expected = k_nearest_neighbors(features, 9), k_nearest_neighbors(clouds, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = k_nearest_neighbors(features, 9), k_nearest_neighbors(clouds, 9)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_more_neighbors_than_kernels_keep_sorted_are_found_all_the_same():
    points = randn(1, 200, 4)
    assert not cpu.supports_k_nearest(points, 150)
    assert_k_nearest(points, 150, k_nearest_neighbors(points, 150))


# Pooling over neighbours.


def pooled_with_gradient(
    features: Tensor, indices: Tensor, largest: Tensor | None, with_sum: bool
) -> list[Tensor]:
    leaf = features.clone().requires_grad_()
    pool = pool_neighbors(leaf, indices, largest, with_sum=with_sum)
    weights = randn(*pool.extreme.shape, seed=9, dtype=pool.extreme.dtype)
    total = (pool.extreme * weights).sum()
    if with_sum:
        total = total + (pool.sum * weights.cos()).sum()
    else:
        assert pool.sum is None
    values = [value.detach() for value in pool if value is not None]
    return [*values, *torch.autograd.grad(total, leaf)]


@pytest.mark.parametrize(
    ("channels", "k", "signs", "with_sum", "dtype"),
    crossed(
        [1, 16, 129, 300],
        [1, 2, 5, 20],
        ["none", "all", "some", "no channel"],
        [True, False],
        BOTH_DTYPES,
    ),
)
def test_pooling_and_its_gradient_are_the_references(channels, k, signs, with_sum, dtype):
    features, indices = randn(2, 30, channels, dtype=dtype), randint(30, 2, 17, k)
    largest = {
        "none": None,
        "all": torch.ones(channels, dtype=torch.bool),
        "some": torch.arange(channels) % 3 > 0,
        "no channel": torch.zeros(channels, dtype=torch.bool),
    }[signs]
    found = pooled_with_gradient(features, indices, largest, with_sum)
    expected = by_reference(pooled_with_gradient, features, indices, largest, with_sum)
    assert torch.equal(found[0], expected[0])
    for value, wanted in zip(found[1:], expected[1:], strict=True):
        assert value.dtype == dtype
        torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-5)


def test_pooling_is_the_loop_over_points_neighbors_and_channels():
    features, indices = randn(2, 9, 4), randint(9, 2, 6, 3)
    largest = torch.tensor([True, False, True, False])
    pool = pool_neighbors(features, indices, largest)
    for b, i, c in itertools.product(range(2), range(6), range(4)):
        values = [float(features[b, j, c]) for j in indices[b, i].tolist()]
        assert pool.extreme[b, i, c] == (max(values) if largest[c] else min(values))
        assert pool.sum[b, i, c].item() == pytest.approx(sum(values), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("largest", [True, False])
def test_a_nan_among_the_neighbors_is_their_extreme_and_stays_in_its_channel(largest):
    features, indices = randn(1, 12, 3), torch.arange(12).reshape(1, 4, 3)
    features[0, [0, 4, 8], 1] = torch.nan  # first, middle and last of the neighbours
    features[0, 9, 2] = torch.inf
    features[0, 10, 2] = torch.nan
    channels = torch.full((3,), largest)
    found = pool_neighbors(features, indices, channels)
    expected = by_reference(pool_neighbors, features, indices, channels)
    torch.testing.assert_close(found.extreme, expected.extreme, equal_nan=True)
    torch.testing.assert_close(found.sum, expected.sum, equal_nan=True)
    assert found.extreme.isnan()[0].tolist() == [
        [False, True, False],
        [False, True, False],
        [False, True, False],
        [False, False, True],
    ]


def test_the_gradient_of_an_extreme_at_minus_infinity_reaches_a_neighbor():
    features = torch.full((1, 3, 2), -torch.inf, requires_grad=True)
    indices = torch.tensor([[[1, 2]]])
    pool_neighbors(features, indices, with_sum=False).extreme.sum().backward()
    assert features.grad[0, 0].tolist() == [0, 0]
    assert features.grad[0].sum(dim=0).tolist() == [1, 1]


@few_examples
@given(
    features=hnp.arrays(np.float64, st.just((1, 7, 3)), elements=st.integers(-1, 1)),
    indices=hnp.arrays(np.int64, st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 6)),
                       elements=st.integers(0, 6)),
)  # fmt: skip
def test_each_extremes_gradient_goes_to_one_neighbor_that_has_it(features, indices):
    leaf, neighbors = torch.from_numpy(features).requires_grad_(), torch.from_numpy(indices)
    extreme = pool_neighbors(leaf, neighbors, with_sum=False).extreme
    for i, c in itertools.product(range(neighbors.shape[1]), range(3)):
        (gradient,) = torch.autograd.grad(extreme[0, i, c], leaf, retain_graph=True)
        ((_, j, channel),) = gradient.nonzero().tolist()
        assert channel == c
        assert gradient[0, j, c] == 1
        assert j in neighbors[0, i].tolist()
        assert features[0, j, c] == extreme[0, i, c]


def test_what_was_not_used_of_a_pool_gets_no_gradient():
    features, indices = randn(2, 9, 5), randint(9, 2, 8, 3)
    for name in ("extreme", "sum"):
        gradients = []
        for mode in ("fast", "reference"):
            leaf = features.clone().requires_grad_()
            with forced(mode):
                getattr(pool_neighbors(leaf, indices), name).sum().backward()
            gradients.append(leaf.grad)
        torch.testing.assert_close(*gradients)


def test_the_layout_in_memory_changes_no_pool():
    features, indices = randn(2, 9, 5), randint(9, 2, 8, 3)
    expected = pooled_with_gradient(features, indices, None, True)
    for view, same_indices in zip(views(features), views(indices.double()), strict=True):
        found = pooled_with_gradient(view.detach(), same_indices.long(), None, True)
        for value, wanted in zip(found, expected, strict=True):
            assert torch.equal(value, wanted)
    # Gradients come in any layout too: that of a sum is expanded.
    gradients = []
    for mode in ("fast", "reference"):
        leaf = features.clone().requires_grad_()
        with forced(mode):
            pool = pool_neighbors(leaf, indices)
        (pool.extreme.sum() + 2 * pool.sum.sum()).backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("with_sum", [True, False])
def test_pooling_passes_gradcheck(with_sum):
    features, indices = randn(2, 7, 3, dtype=torch.float64).requires_grad_(), randint(7, 2, 5, 4)
    largest = torch.tensor([True, False, True])

    def pool(features):
        found = pool_neighbors(features, indices, largest, with_sum=with_sum)
        return tuple(value for value in found if value is not None)

    assert torch.autograd.gradcheck(pool, features)


# Moments over edges.


def edge_values(u: Tensor, v: Tensor, indices: Tensor) -> Tensor:
    """(B * N * k, C), every edge's."""
    return (gather_points(u, indices) + v.unsqueeze(2)).flatten(0, 2)


@both_dtypes
@pytest.mark.parametrize(("count", "k", "channels"), [(1, 1, 1), (9, 4, 5), (70, 20, 33)])
@pytest.mark.parametrize("mode", ["fast", "reference"])
def test_the_moments_are_those_of_all_edges(mode, count, k, channels, dtype):
    # Means that differ, of which one taken for the other would cost digits.
    u = randn(3, count, channels, dtype=dtype) + 5
    v = 2 * randn(3, count, channels, seed=1, dtype=dtype) - 9
    indices = randint(count, 3, count, k)
    edges = edge_values(u.double(), v.double(), indices)
    with forced(mode):
        mean, variance, rows = edge_moments(u, v, pool_neighbors(u, indices).sum, indices)
    assert rows == len(edges)
    digits = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(mean.double(), edges.mean(dim=0), rtol=digits, atol=digits)
    expected = edges.var(dim=0, unbiased=False)
    torch.testing.assert_close(variance.double(), expected, rtol=digits, atol=digits)
    assert mean.dtype == variance.dtype == dtype


@pytest.mark.parametrize("mode", ["fast", "reference"])
@pytest.mark.parametrize("offset", [1e2, 1e4])
@pytest.mark.parametrize("spread", [1.0, 0.1])
def test_the_variance_survives_terms_that_cancel(spread, offset, mode):
    """u is about ``offset`` and v about minus that, so that edges are small differences."""
    u = offset + spread * randn(4, 256, 8)
    v = -offset + spread * randn(4, 256, 8, seed=1)
    indices = randint(256, 4, 256, 20)
    edges = edge_values(u.double(), v.double(), indices)
    with forced(mode):
        mean, variance, _ = edge_moments(u, v, pool_neighbors(u, indices).sum, indices)
    # What rounding the terms' sums to float32 costs, and no more.
    rounding = offset * torch.finfo(torch.float32).eps
    torch.testing.assert_close(mean.double(), edges.mean(dim=0), rtol=0, atol=3 * rounding)
    expected = edges.var(dim=0, unbiased=False)
    torch.testing.assert_close(variance.double(), expected, rtol=1e-6 + rounding / spread, atol=0)


@pytest.mark.parametrize("mode", ["fast", "reference"])
@pytest.mark.parametrize("noise", [1e-1, 1e-2, 1e-3])
def test_the_variance_survives_neighbors_that_all_but_cancel_their_point(noise, mode):
    """u_j is near -v_i on every edge: the variance is that of the little that is left."""
    # Each point's neighbours are itself and its double, so that their sum needs no rounding.
    u = 20 * randn(4, 128, 8).repeat(1, 2, 1)
    v = -u + noise * randn(4, 256, 8)
    point = torch.arange(256).expand(4, 256)
    indices = torch.stack([point, (point + 128) % 256], dim=2)
    edges = edge_values(u.double(), v.double(), indices)
    with forced(mode):
        _, variance, _ = edge_moments(u, v, pool_neighbors(u, indices).sum, indices)
    expected = edges.var(dim=0, unbiased=False)
    torch.testing.assert_close(variance.double(), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("mode", ["fast", "reference"])
def test_the_moments_pass_gradcheck_and_have_the_gradient_of_all_edges(mode):
    u = (randn(2, 6, 3, dtype=torch.float64) + 2).requires_grad_()
    v = randn(2, 6, 3, seed=1, dtype=torch.float64).requires_grad_()
    indices = randint(6, 2, 6, 4)

    def moments(u, v):
        return edge_moments(u, v, pool_neighbors(u, indices).sum, indices)[:2]

    def moments_of_edges(u, v):
        edges = edge_values(u, v, indices)
        return edges.mean(dim=0), edges.var(dim=0, unbiased=False)

    with forced(mode):
        assert torch.autograd.gradcheck(moments, (u, v))
        for found, expected in zip(moments(u, v), moments_of_edges(u, v), strict=True):
            weights = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
            gradients = torch.autograd.grad((found * weights).sum(), (u, v), retain_graph=True)
            wanted = torch.autograd.grad((expected * weights).sum(), (u, v), retain_graph=True)
            torch.testing.assert_close(gradients, wanted)


# Columns of a product.


@both_dtypes
@pytest.mark.parametrize("rows", BOUNDARIES)
def test_the_extremes_of_columns_are_their_first_and_their_squares_add_up(rows, dtype):
    values = (2 * randn(rows, 7, dtype=dtype)).round()  # full of ties
    centers, signs = randn(7, seed=1, dtype=dtype), torch.tensor([1, 1, -1, 1, -1, -1, 1]).to(dtype)
    squares = torch.full((7,), 3.0, dtype=torch.float64)
    extreme, argument = cpu.column_extremes(values, centers, signs, squares)
    expected = (values * signs).max(dim=0)
    assert torch.equal(extreme, expected.values * signs)
    first = (values == extreme).int().argmax(dim=0)
    assert torch.equal(argument, first)
    added = (values.double() - centers).square().sum(dim=0)
    torch.testing.assert_close(squares - 3, added, rtol=1e-5, atol=1e-5)
    again, same = cpu.column_extremes(values, centers, signs, None)
    assert torch.equal(again, extreme)
    assert torch.equal(same, argument)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("row", [0, 5, 69])
def test_a_nan_in_a_column_is_its_extreme(row, sign):
    values = randn(70, 3)
    values[row, 1] = torch.nan
    extreme, argument = cpu.column_extremes(values, values[0], torch.full((3,), sign), None)
    assert extreme.isnan().tolist() == [False, True, False]
    assert argument[1] == row


@both_dtypes
@pytest.mark.parametrize(("channels", "dimensions"), [(1, 1), (13, 7), (40, 130), (5, 300)])
def test_picked_products_and_their_gradients_are_those_of_gathered_points(
    channels, dimensions, dtype
):
    features = randn(3, 20, dimensions, dtype=dtype).requires_grad_()
    weight = randn(channels, dimensions, seed=1, dtype=dtype).requires_grad_()
    argument = randint(20, 3, channels)
    expected = (gather_points(features, argument) * weight).sum(dim=2)
    upstream = randn(3, channels, seed=2, dtype=dtype)
    wanted = torch.autograd.grad((expected * upstream).sum(), (features, weight))
    tensors = features.detach(), weight.detach(), argument
    torch.testing.assert_close(cpu.picked_products(*tensors), expected, rtol=1e-5, atol=1e-5)
    gradient = torch.ones_like(features)  # is added to
    weight_gradient = cpu.picked_products_backward(upstream, *tensors, gradient)
    torch.testing.assert_close(gradient - 1, wanted[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(weight_gradient, wanted[1], rtol=1e-5, atol=1e-5)


# Farthest points.


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
