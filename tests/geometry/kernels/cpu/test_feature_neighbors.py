"""The fast search for the k nearest in feature space, whatever rounds."""

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.ugly_clouds import assert_k_nearest, both_dtypes, randn
from pc_crvae.geometry import k_nearest_neighbors
from pc_crvae.geometry.kernels import cpu
from pc_crvae.geometry.kernels.cpu import feature_search


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
