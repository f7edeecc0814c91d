"""Functions with a backward of their own can be differentiated twice, or say that they cannot.

PyTorch's `once_differentiable` lets a second derivative be 0 in silence where the incoming gradient
needs none, as that of a sum.
"""

import ast
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pc_crvae
from helpers.kernel_choice import forced
from pc_crvae.geometry import edge_moments, pool_neighbors
from pc_crvae.models.mlp import Perceptron
from pc_crvae.models.points.dgcnn import DGCNN
from pc_crvae.models.points.folding import Fold, FoldingDecoder
from pc_crvae.models.points.foldingnet import FoldingNetEncoder
from pc_crvae.models.points.pointnet import PointNet
from pc_crvae.models.points.pooled import maximum_over_points

MODES = ["auto", "reference"]


def randn(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def neighbors(points: int = 6, k: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(points, (2, points, k), generator=generator)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("with_sum", [True, False])
def test_pooling_over_neighbours_passes_gradgradcheck(with_sum, mode):
    largest, indices = torch.tensor([True, False, True]), neighbors()

    def pool(features: Tensor) -> tuple[Tensor, ...]:
        found = pool_neighbors(features, indices, largest, with_sum=with_sum)
        return tuple(value for value in found if value is not None)

    with forced(mode):
        assert torch.autograd.gradgradcheck(pool, randn(2, 6, 3).requires_grad_())


@pytest.mark.parametrize("mode", MODES)
def test_moments_over_edges_pass_gradgradcheck(mode):
    indices = neighbors()

    def moments(u: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        return edge_moments(u, v, pool_neighbors(u, indices).sum, indices)[:2]

    inputs = (randn(2, 6, 3).requires_grad_(), randn(2, 6, 3, seed=1).requires_grad_())
    with forced(mode):
        assert torch.autograd.gradgradcheck(moments, inputs)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_pooled_perceptron_passes_gradgradcheck(batch_norm, training, mode):
    torch.manual_seed(0)
    perceptron = Perceptron(3, 4, batch_norm=batch_norm).double().train(training)
    names, parameters = zip(*perceptron.named_parameters(), strict=True)

    def call(features: Tensor, *parameters: Tensor) -> Tensor:
        named = {f"perceptron.{name}": p for name, p in zip(names, parameters, strict=True)}
        return torch.func.functional_call(_Pooling(perceptron), named, (features,))

    with forced(mode):
        assert torch.autograd.gradgradcheck(
            call, (randn(2, 5, 3).requires_grad_(), *parameters), atol=1e-4
        )


class _Pooling(nn.Module):
    def __init__(self, perceptron: Perceptron) -> None:
        super().__init__()
        self.perceptron = perceptron

    def forward(self, features: Tensor) -> Tensor:
        return maximum_over_points(self.perceptron, features)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("points_batch", [1, 2])
def test_a_fold_passes_gradgradcheck(points_batch, mode):
    torch.manual_seed(0)
    fold = Fold(4, 3, (5, 4)).double()
    inputs = (randn(2, 4).requires_grad_(), randn(points_batch, 3, 3, seed=1).requires_grad_())
    with forced(mode):
        assert torch.autograd.gradgradcheck(lambda *given: fold(*given), inputs)


def test_an_input_that_is_made_of_another_keeps_its_own_gradient():
    """Else the gradient in x of f(x, w(x)) would count the way through w twice."""
    torch.manual_seed(0)
    perceptron = Perceptron(3, 4, batch_norm=False).double()

    def of(x: Tensor) -> Tensor:
        weight = perceptron.linear.weight * x.mean()
        named = {"perceptron.linear.weight": weight}
        return torch.func.functional_call(_Pooling(perceptron), named, (x,)).square().sum()

    x = randn(2, 5, 3).requires_grad_()
    (plain,) = torch.autograd.grad(of(x), x)
    (kept,) = torch.autograd.grad(of(x), x, create_graph=True)
    torch.testing.assert_close(kept, plain)
    assert torch.autograd.gradgradcheck(of, x)


ENCODERS = {
    "pointnet": lambda: PointNet((5, 6)),
    "dgcnn": lambda: DGCNN((4, 5), 6, k=3),
    "foldingnet": lambda: FoldingNetEncoder(3, (4,), (5, 6)),
    "folding decoder": lambda: FoldingDecoder(3, "sphere", 7, (5, 4)),
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("training", [True, False])
def test_a_gradient_penalty_has_the_derivative_of_its_finite_difference(name, training):
    """grad twice, whose incoming gradient needs none itself: it used to give 0.0 in silence."""
    torch.manual_seed(0)
    model = ENCODERS[name]().double().train(training)
    x = randn(2, 3) if name == "folding decoder" else randn(2, 8, 3)
    direction = randn(*x.shape, seed=2)

    def penalty(x: Tensor, *, differentiable: bool) -> Tensor:
        x = x.detach().requires_grad_() if not differentiable else x
        (gradient,) = torch.autograd.grad(model(x).sum(), x, create_graph=differentiable)
        return gradient.square().sum()

    x.requires_grad_()
    (found,) = torch.autograd.grad(penalty(x, differentiable=True), x)
    step = 1e-6
    with torch.no_grad():
        ends = (x + step * direction, x - step * direction)
    high, low = (penalty(end, differentiable=False) for end in ends)
    expected = (high - low) / (2 * step)
    assert found.abs().sum() > 0 or expected.abs() < 1e-8
    torch.testing.assert_close((found * direction).sum(), expected, rtol=1e-4, atol=1e-6)


def test_many_gradients_at_once_are_those_one_by_one():
    torch.manual_seed(0)
    encoder = DGCNN((4, 5), 6, k=3).double().eval()

    def of(points: Tensor) -> Tensor:
        return encoder(points).sum(dim=0)

    points = randn(2, 8, 3)
    jacobian = torch.autograd.functional.jacobian
    torch.testing.assert_close(jacobian(of, points, vectorize=True), jacobian(of, points))


def test_no_function_relies_on_once_differentiable_which_lets_zeros_pass():
    package = Path(pc_crvae.__file__).parent
    relying = [
        path.relative_to(package)
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name | ast.Attribute)
        and (getattr(node, "id", None) or getattr(node, "attr", None)) == "once_differentiable"
    ]
    assert relying == []
