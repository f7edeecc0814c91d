"""Fast moments over edges, where terms cancel too."""

import pytest
import torch
from torch import Tensor

from helpers.kernel_choice import forced
from helpers.ugly_clouds import both_dtypes, randint, randn
from pc_crvae.geometry import edge_moments, gather_points, pool_neighbors


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
