"""Pooling over neighbours by the Triton kernels, and its gradient, against the plain form."""

import pytest
import torch

from helpers.triton_kernels import DEVICE, kernels, randint, randn, runs_kernels
from helpers.ugly_clouds import both_dtypes
from pc_crvae.geometry import gather_points, pool_neighbors
from pc_crvae.geometry.neighborhoods import extreme_signs


def pooled_plainly(features, indices, largest):
    """(extreme, argument, sum), the first neighbour among equals, one neighbour at a time."""
    edges = gather_points(features, indices)  # (B, N, k, C)
    best, slot = edges[:, :, 0].clone(), torch.zeros_like(edges[:, :, 0], dtype=torch.int64)
    total = edges[:, :, 0].clone()
    for i in range(1, indices.shape[2]):
        value = edges[:, :, i]
        better = torch.where(largest, value > best, value < best)
        best = torch.where(better, value, best)
        slot = torch.where(better, i, slot)
        total = total + value
    return best, indices.gather(2, slot).int(), total


@runs_kernels
@both_dtypes
@pytest.mark.parametrize(
    ("n_features", "n_points", "k", "channels"),
    [(1, 1, 1, 1), (7, 5, 3, 3), (30, 33, 20, 70), (12, 40, 4, 64)],
)
def test_pooling_equals_the_plain_form(n_features, n_points, k, channels, dtype):
    features = randn(2, n_features, channels, dtype=dtype)
    indices = randint(n_features, (2, n_points, k), seed=1)
    largest = randint(2, (channels,), seed=2).bool()
    expected = pooled_plainly(features, indices, largest)
    signs = extreme_signs(largest, features)
    found = kernels().pool_neighbors(features, indices, signs, with_sum=True)
    for ours, plain in zip(found, expected, strict=True):
        assert ours.dtype == plain.dtype
        assert ours.equal(plain)
    assert found[0].equal(pool_neighbors(features, indices, largest, with_sum=False).extreme)
    without_sum = kernels().pool_neighbors(features, indices, signs, with_sum=False)
    assert without_sum[0].equal(found[0])
    assert without_sum[1].equal(found[1])
    assert without_sum[2].shape == (0, 0, 0)


@runs_kernels
def test_pooling_names_the_first_of_equal_neighbors():
    features = (randint(2, (1, 9, 6)) - 0.5).float()
    indices = randint(9, (1, 20, 8), seed=1)
    largest = torch.tensor([True, False] * 3, device=DEVICE)
    signs = extreme_signs(largest, features)
    argument = kernels().pool_neighbors(features, indices, signs, with_sum=False)[1]
    assert argument.equal(pooled_plainly(features, indices, largest)[1])


@runs_kernels
@pytest.mark.parametrize("largest", [True, False])
def test_pooling_keeps_nan_and_infinity(largest):
    features = torch.tensor([1.0, torch.nan, 2.0, torch.inf, -torch.inf], device=DEVICE)
    indices = torch.tensor([[0, 1, 2], [1, 0, 2], [0, 2, 3], [4, 3, 0], [3, 1, 1]], device=DEVICE)
    signs = torch.tensor([1.0 if largest else -1.0], device=DEVICE)
    extreme, argument, _ = kernels().pool_neighbors(
        features[None, :, None], indices[None], signs, with_sum=False
    )
    assert extreme[0, [0, 1, 4], 0].isnan().all()
    assert argument[0, [0, 1, 4], 0].eq(1).all()
    infinity = torch.inf if largest else -torch.inf
    assert extreme[0, 2:4, 0].tolist() == ([infinity] * 2 if largest else [1.0, infinity])


@runs_kernels
@both_dtypes
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("with_sum", [False, True])
def test_the_gradient_of_pooling_equals_autograds(with_sum, deterministic, dtype):
    features = randn(2, 9, 70, dtype=dtype).requires_grad_()
    indices = randint(9, (2, 18, 3), seed=1)
    largest = randint(2, (70,), seed=2).bool()
    extreme, argument, total = pooled_plainly(features, indices, largest)
    extreme_gradient = randn(*extreme.shape, dtype=dtype, seed=3)
    sum_gradient = randn(*extreme.shape, dtype=dtype, seed=4) if with_sum else None
    loss = (extreme * extreme_gradient).sum()
    if sum_gradient is not None:
        loss = loss + (total * sum_gradient).sum()
    (expected,) = torch.autograd.grad(loss, features)
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(deterministic)
    try:
        gradient = kernels().unpool_neighbors(extreme_gradient, argument, sum_gradient, indices, 9)
    finally:
        torch.use_deterministic_algorithms(before)
    torch.testing.assert_close(gradient, expected)


@runs_kernels
def test_the_gradient_of_pooling_adds_up_where_all_choose_one_point():
    indices = torch.zeros(1, 300, 2, dtype=torch.int64, device=DEVICE)
    ones = torch.ones(1, 300, 3, device=DEVICE)
    argument = torch.zeros(1, 300, 3, dtype=torch.int32, device=DEVICE)
    gradient = kernels().unpool_neighbors(ones, argument, ones, indices, 4)
    assert gradient[0].tolist() == [[900.0] * 3, *[[0.0] * 3] * 3]
