"""A fold computed cloud by cloud is the fold computed on the whole batch."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from helpers.crossing import crossed
from helpers.kernel_choice import forced
from pc_crvae.geometry.kernels import cpu
from pc_crvae.models.points.folding import Fold, FoldingDecoder

WIDTHS = [(1,), (7,), (7, 6), (7, 6, 5), (8, 8, 8, 8)]


def a_fold(point_dim: int, widths: tuple[int, ...], latent_dim: int = 4) -> Fold:
    torch.manual_seed(0)
    return Fold(latent_dim, point_dim, widths).double()


def inputs(fold: Fold, batch: int, points_batch: int, count: int = 9) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    point_dim = fold.first.in_features - 4
    latent = torch.randn(batch, 4, dtype=torch.float64)
    points = torch.randn(points_batch, count, point_dim, dtype=torch.float64)
    return latent.requires_grad_(), points.requires_grad_()


def result(fold: nn.Module, arguments: tuple[Tensor, ...], mode: str) -> list[Tensor]:
    """Output, and gradients in arguments and parameters, of a loss that knows every entry."""
    with forced(mode):
        output = fold(*arguments)
    steps = torch.arange(output.numel(), dtype=output.dtype).reshape(output.shape)
    wanted = [tensor for tensor in arguments if tensor.requires_grad]
    gradients = torch.autograd.grad((steps.cos() * output).sum(), [*wanted, *fold.parameters()])
    return [output, *gradients]


@pytest.mark.parametrize(
    ("widths", "point_dim", "batches", "count"),
    crossed(WIDTHS, [2, 3], [(3, 1), (3, 3), (1, 1)], [1, 9, 65]),
)
def test_values_and_gradients_are_the_plain_folds(widths, point_dim, batches, count):
    fold = a_fold(point_dim, widths)
    arguments = inputs(fold, *batches, count)
    found, expected = (result(fold, arguments, mode) for mode in ("fast", "reference"))
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value, wanted)


def test_points_that_are_fixed_cost_no_gradient_and_change_no_other():
    fold = a_fold(2, (7, 6))
    latent, points = inputs(fold, 3, 1)
    with_points = result(fold, (latent, points), "fast")
    without = result(fold, (latent, points.detach()), "fast")
    del with_points[2]
    for value, wanted in zip(without, with_points, strict=True):
        assert torch.equal(value, wanted)


def test_points_and_latents_of_any_layout_in_memory_are_folded_alike():
    fold = a_fold(3, (7, 6))
    latent, points = inputs(fold, 3, 3)
    expected = result(fold, (latent, points), "fast")
    laid_out = [
        (latent.t().contiguous().t(), points.transpose(1, 2).contiguous().transpose(1, 2)),
        (latent.flip(0).flip(0), points.transpose(0, 1).contiguous().transpose(0, 1)),
    ]
    for arguments in laid_out:
        leaves = tuple(tensor.detach().requires_grad_() for tensor in arguments)
        for value, wanted in zip(result(fold, leaves, "fast"), expected, strict=True):
            torch.testing.assert_close(value, wanted)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(("batch", "points_batch"), [(2, 1), (2, 2)])
def test_it_passes_gradcheck(depth, batch, points_batch):
    torch.manual_seed(0)
    sizes = [5, *([4] * (depth - 1)), 3]
    random = [(batch, 5), (points_batch, 4, 2), (5, 2)]
    for before, after in itertools.pairwise(sizes):
        random += [(after, before), (after,)]
    tensors = [torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in random]

    def fold(latent_terms: Tensor, points: Tensor, weight: Tensor, *layers: Tensor) -> Tensor:
        pairs = list(zip(layers[::2], layers[1::2], strict=True))
        return cpu.fold(latent_terms, points, weight, pairs)

    assert torch.autograd.gradcheck(fold, tensors)


def test_the_decoder_folds_cloud_by_cloud_on_a_cpu_unless_plain_pytorch_is_asked_for(monkeypatch):
    calls = []

    def recording(*arguments: Tensor) -> Tensor:
        calls.append(arguments)
        return by_cloud(*arguments)

    by_cloud = cpu.fold
    monkeypatch.setattr(cpu, "fold", recording)
    decoder, latent = FoldingDecoder(4, points=12, widths=(8,), folds=3), torch.randn(2, 4)
    with forced("reference"):
        expected = decoder(latent)
    assert not calls
    with forced("fast"):
        torch.testing.assert_close(decoder(latent), expected)
    assert len(calls) == 3


@pytest.mark.parametrize("widths", [(64,), (64, 64), (64, 64, 64)])
def test_under_autocast_it_is_as_close_to_float32_as_the_plain_fold(widths):
    torch.manual_seed(0)
    decoder = FoldingDecoder(16, points=100, widths=widths)
    latent = torch.randn(4, 16).requires_grad_()
    target = torch.randn(4, 100, 3)

    def values(mode: str, autocast: bool) -> list[Tensor]:
        with forced(mode), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = decoder(latent)
        assert output.dtype == torch.float32
        # Not of random signs, whose sums would be little but rounding.
        loss = (output - target).square().sum()
        return [output.detach(), *torch.autograd.grad(loss, [latent, *decoder.parameters()])]

    exact = values("reference", autocast=False)
    errors = {
        mode: [
            float((value - wanted).norm() / wanted.norm())
            for value, wanted in zip(values(mode, autocast=True), exact, strict=True)
        ]
        for mode in ("fast", "reference")
    }
    for error, plain_error in zip(errors["fast"], errors["reference"], strict=True):
        assert error <= 2 * plain_error
        assert error < 0.15


@pytest.mark.parametrize("autocast", [False, True], ids=["float32", "bfloat16"])
def test_each_activation_is_kept_once_in_the_precision_of_the_products(autocast):
    fold = a_fold(2, (16, 16)).float()
    latent, points = (tensor.detach().float() for tensor in inputs(fold, 4, 1, count=50))
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.numel() >= 4 * 50 * 16:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with (
        forced("fast"),
        torch.autocast("cpu", torch.bfloat16, enabled=autocast),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        folded = fold(latent, points)
    assert sum(kept.values()) == 2 * 4 * 50 * 16 * (2 if autocast else 4)
    del folded


def test_points_of_another_number_of_clouds_are_refused():
    fold = Fold(4, 2, (8, 8))
    with pytest.raises(ValueError, match="3 clouds of points cannot go with 5 latents"):
        fold(torch.zeros(5, 4), torch.zeros(3, 10, 2))
