"""Fast extremes, squares and picked products of a product's columns."""

import pytest
import torch

from helpers.ugly_clouds import BOUNDARIES, both_dtypes, randint, randn
from pc_crvae.geometry import gather_points
from pc_crvae.geometry.kernels import cpu


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
