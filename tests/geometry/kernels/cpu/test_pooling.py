"""Fast pooling over neighbours and its gradients, against the reference and the loops."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from helpers.crossing import crossed
from helpers.kernel_choice import forced
from helpers.ugly_clouds import BOTH_DTYPES, by_reference, few_examples, randint, randn, views
from pc_crvae.geometry import pool_neighbors


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
