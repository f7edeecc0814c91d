"""The maximum over the points of a wide perceptron, without the wide activation."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.kernel_choice import forced
from pc_crvae.models.mlp import Perceptron
from pc_crvae.models.points.pooled import maximum_over_points

CASES = [(batch_norm, slope) for batch_norm in (True, False) for slope in (0.0, 0.2)]


@pytest.fixture(params=["fast", "reference"], autouse=True)
def _kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    with forced(request.param):
        yield


def a_perceptron(
    in_features: int, out_features: int, batch_norm: bool = True, slope: float = 0.2
) -> Perceptron:
    """In double precision, with batch-norm scales of both signs and statistics that moved."""
    torch.manual_seed(0)
    perceptron = Perceptron(
        in_features, out_features, batch_norm=batch_norm, negative_slope=slope
    ).double()
    if batch_norm:
        norm = perceptron.norm
        with torch.no_grad():
            signs = torch.where(torch.arange(out_features) % 3 == 0, -1.0, 1.0)
            norm.weight.uniform_(0.5, 1.5).mul_(signs)
            norm.bias.normal_()
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return perceptron


def some_features(batch: int, count: int, channels: int, dtype=torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, count, channels, generator=generator, dtype=dtype) + 0.5


def plain(perceptron: Perceptron, features: Tensor) -> Tensor:
    return perceptron(features).max(dim=1).values


def backward(output: Tensor) -> None:
    """From a loss that treats every entry otherwise."""
    steps = torch.arange(output.numel(), dtype=output.dtype).reshape(output.shape)
    (steps.cos() * output).sum().backward()


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(("batch_norm", "slope"), CASES)
@pytest.mark.parametrize(("batch", "count", "channels", "width"), [(3, 17, 5, 40), (2, 70, 130, 9)])
def test_values_gradients_and_statistics_are_those_of_the_perceptron_and_then_a_maximum(
    batch, count, channels, width, batch_norm, slope, training
):
    ours = a_perceptron(channels, width, batch_norm, slope).train(training)
    theirs = copy.deepcopy(ours)
    for _ in range(2):  # so that the second time statistics have moved
        leaves = [some_features(batch, count, channels).requires_grad_() for _ in range(2)]
        output, expected = maximum_over_points(ours, leaves[0]), plain(theirs, leaves[1])
        torch.testing.assert_close(output, expected)
        backward(output)
        backward(expected)
        torch.testing.assert_close(leaves[0].grad, leaves[1].grad)
    for (name, parameter), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, msg=name)
    for (name, buffer), other in zip(ours.named_buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, msg=name)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_it_passes_gradcheck(batch_norm, training):
    perceptron = a_perceptron(3, 6, batch_norm).train(training)
    features = some_features(2, 5, 3).requires_grad_()
    names, parameters = zip(*perceptron.named_parameters(), strict=True)

    def call(features: Tensor, *parameters: Tensor) -> Tensor:
        pooling = _Pooling(perceptron)
        named = {f"perceptron.{name}": p for name, p in zip(names, parameters, strict=True)}
        return torch.func.functional_call(pooling, named, (features,))

    assert torch.autograd.gradcheck(call, (features, *parameters))


class _Pooling(nn.Module):
    def __init__(self, perceptron: Perceptron) -> None:
        super().__init__()
        self.perceptron = perceptron

    def forward(self, features: Tensor) -> Tensor:
        return maximum_over_points(self.perceptron, features)


@pytest.mark.parametrize(("batch", "count"), [(1, 1), (3, 1), (1, 9)])
def test_one_point_and_one_cloud_are_enough(batch, count):
    perceptron = a_perceptron(4, 7).eval()
    features = some_features(batch, count, 4)
    torch.testing.assert_close(
        maximum_over_points(perceptron, features), plain(perceptron, features)
    )
    perceptron.train()
    if batch * count == 1:
        with pytest.raises(ValueError, match="more than one row"):
            maximum_over_points(perceptron, features)
    else:
        torch.testing.assert_close(
            maximum_over_points(perceptron, features), plain(copy.deepcopy(perceptron), features)
        )


def test_equal_points_share_one_maximum_and_its_gradient_goes_to_one_of_them():
    perceptron = a_perceptron(4, 7, batch_norm=False)
    features = some_features(2, 1, 4).repeat(1, 9, 1).requires_grad_()
    output = maximum_over_points(perceptron, features)
    torch.testing.assert_close(output, plain(perceptron, features))
    (gradient,) = torch.autograd.grad(output.sum(), features)
    (expected,) = torch.autograd.grad(plain(perceptron, features).sum(), features)
    torch.testing.assert_close(gradient.sum(dim=1), expected.sum(dim=1))


def test_a_nan_reaches_every_channel_of_its_cloud_and_no_other_in_evaluation():
    perceptron, features = a_perceptron(4, 7).eval(), some_features(3, 9, 4)
    features[1, 5, 2] = torch.nan
    output = maximum_over_points(perceptron, features)
    assert output.isnan().all(dim=1).tolist() == [False, True, False]
    assert output[[0, 2]].isfinite().all()


def test_the_layout_of_the_features_in_memory_does_not_matter():
    perceptron = a_perceptron(4, 7).train()
    features = some_features(3, 9, 4)
    expected = maximum_over_points(copy.deepcopy(perceptron), features)
    for view in (
        features.transpose(0, 1).contiguous().transpose(0, 1),
        features.transpose(1, 2).contiguous().transpose(1, 2),
        torch.stack([features, features], dim=-1)[..., 0],
    ):
        leaf = view.detach().requires_grad_()
        output = maximum_over_points(copy.deepcopy(perceptron), leaf)
        torch.testing.assert_close(output, expected)
        output.sum().backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_features_of_lower_precision_are_pooled_in_float32(dtype):
    perceptron = a_perceptron(4, 7).float()
    features = some_features(3, 9, 4).to(dtype)
    output = maximum_over_points(copy.deepcopy(perceptron), features)
    assert output.dtype == torch.float32
    assert torch.equal(output, maximum_over_points(perceptron, features.float()))


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize(("batch_norm", "slope"), CASES)
def test_bfloat16_autocast_stays_close_to_float32(batch_norm, slope, training):
    perceptron = a_perceptron(32, 64, batch_norm, slope).float().train(training)
    results = []
    for enabled in (False, True):
        copied = copy.deepcopy(perceptron)
        leaf = some_features(4, 200, 32, torch.float32).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            output = maximum_over_points(copied, leaf)
        assert output.dtype == torch.float32
        backward(output)
        gradients = [parameter.grad for parameter in copied.parameters()]
        results.append([output, leaf.grad, *gradients, *copied.buffers()])
    exact, lowered = results

    def error(value: Tensor, expected: Tensor) -> float:
        return float((value.detach().double() - expected.detach().double()).norm())

    # The products choose a point whose value is within their rounding of the largest. That value
    # is then computed in float32: what differs is the choice, which moves single gradients whole.
    (output, *gradients), (expected, *expected_gradients) = lowered, exact
    assert error(output, expected) < 1e-3 * expected.norm()
    for value, wanted in zip(gradients, expected_gradients, strict=True):
        assert error(value, wanted) <= 0.25 * wanted.double().norm()


class _LargestTensor(TorchDispatchMode):
    """Records the largest number of entries that any operation returns."""

    largest = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self.largest = max(self.largest, tensor.numel())
        return result


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_wide_activation_is_neither_kept_nor_made_for_all_clouds_at_once(batch_norm, autocast):
    batch, count, channels, width = 6, 50, 8, 64
    activation = batch * count * width

    def largest(forward: Any) -> tuple[int, int]:
        """Entries of the largest tensor saved for the way back, and of the largest made."""
        perceptron = a_perceptron(channels, width, batch_norm).float()
        features = some_features(batch, count, channels, torch.float32).requires_grad_()
        saved: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            saved.append(tensor.numel())
            return tensor

        with (
            torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast),
            _LargestTensor() as recorder,
        ):
            output = forward(perceptron, features)
            output.float().sum().backward()
        return max(saved), recorder.largest

    assert min(largest(plain)) >= activation  # so that what follows could fail
    kept, made = largest(maximum_over_points)
    assert kept <= batch * count * channels
    assert made <= max(batch * count * channels, count * width)
