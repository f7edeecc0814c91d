"""Which calls of the geometry's functions reach the Triton kernels."""

import torch

from helpers.kernel_choice import forced
from helpers.triton_kernels import DEVICE, kernels, randn, runs_kernels
from pc_crvae.geometry import (
    farthest_point_sampling,
    k_nearest_neighbors,
    nearest_neighbors,
    pool_neighbors,
)
from pc_crvae.geometry import kernels as dispatch


@runs_kernels
def test_an_empty_batch_gives_empty_results():
    cuda = kernels()
    points, none = randn(0, 5, 3), torch.zeros(0, dtype=torch.int64, device=DEVICE)
    signs = torch.ones(3, device=DEVICE)
    assert cuda.nearest(points, points).shape == (0, 5)
    assert cuda.k_nearest(points, 2).shape == (0, 5, 2)
    assert cuda.farthest_points(points, 2, none).shape == (0, 2)
    indices = torch.zeros(0, 5, 2, dtype=torch.int64, device=DEVICE)
    extreme, argument, total = cuda.pool_neighbors(points, indices, signs, with_sum=True)
    assert extreme.shape == argument.shape == total.shape == (0, 5, 3)
    assert cuda.unpool_neighbors(extreme, argument, total, indices, 5).shape == (0, 5, 3)


@runs_kernels
def test_the_functions_of_geometry_reach_the_kernels_whatever_the_strides(monkeypatch):
    monkeypatch.setattr(dispatch, "_kernels_of", lambda _: kernels())
    points, others = randn(2, 3, 40).transpose(1, 2), randn(2, 3, 30, seed=1).transpose(1, 2)
    features = randn(2, 6, 40).transpose(1, 2).requires_grad_()
    largest = torch.tensor([True, False] * 3, device=DEVICE)
    start = torch.tensor([[3, 0], [5, 0]], device=DEVICE)[:, 0]
    results = []
    for mode in ("reference", "fast"):
        with forced(mode):
            neighbors = k_nearest_neighbors(points, 4)
            extreme, total = pool_neighbors(features, neighbors, largest, with_sum=True)
            alone = pool_neighbors(features, neighbors, largest, with_sum=False).extreme
            # The gradient of a sum is one number, expanded.
            (gradient,) = torch.autograd.grad((extreme + alone).sum() + total.sum(), features)
            farthest = farthest_point_sampling(points, 6, start)
            nearest = nearest_neighbors(points, others)
        results.append((neighbors, extreme, alone, total, gradient, farthest, nearest))
    for plain, ours in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain)


@runs_kernels
def test_long_lists_and_other_dimensions_are_left_to_plain_pytorch():
    assert kernels().supports_k_nearest(torch.zeros(1, 99, 3), 20)
    assert not kernels().supports_k_nearest(torch.zeros(1, 99, 3), 99)
    assert not kernels().supports_k_nearest(torch.zeros(1, 99, 64), 20)
