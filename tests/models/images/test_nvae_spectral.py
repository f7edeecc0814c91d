"""The spectral penalty follows the largest singular values; so does the batch-norm penalty."""

import pytest
import torch
from torch import nn

from helpers.nvae_sizes import TOY
from pc_crvae.likelihoods import BernoulliLikelihood
from pc_crvae.models.images.nvae import NVAE
from pc_crvae.models.images.nvae.cells import ImageBatchNorm, normalized_convolution
from pc_crvae.models.images.nvae.flows import MaskedConvolution
from pc_crvae.models.images.nvae.spectral import SpectralPenalty


def layers(seed=0):
    torch.manual_seed(seed)
    return [
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(8, 8, 5, groups=8),
        normalized_convolution(4, 6, 1),
    ]


def largest(layer):
    masked = isinstance(layer, MaskedConvolution)
    weight = layer.weight * layer.mask if masked else layer.weight
    return torch.linalg.svdvals(weight.flatten(1))[0]


def test_it_is_the_sum_of_the_largest_singular_values():
    convolutions = layers()
    penalty = SpectralPenalty(convolutions)
    for _ in range(50):
        total = penalty()
    torch.testing.assert_close(total, sum(map(largest, convolutions)), rtol=1e-4, atol=0)


def test_its_gradient_is_that_of_the_singular_values():
    convolutions = layers()
    penalty = SpectralPenalty(convolutions, iterations=200)
    penalty().backward()
    for layer in convolutions[:3]:
        (expected,) = torch.autograd.grad(largest(layer), layer.weight)
        torch.testing.assert_close(layer.weight.grad, expected, rtol=1e-3, atol=1e-4)
    assert convolutions[3].parametrizations.weight.original0.grad is not None


def test_it_follows_weights_as_they_change_and_stands_still_in_evaluation():
    convolutions = layers()
    penalty = SpectralPenalty(convolutions)
    with torch.no_grad():
        for layer in convolutions[:3]:
            layer.weight.copy_(torch.randn(layer.weight.shape))
    penalty.eval()
    before = {name: buffer.clone() for name, buffer in penalty.named_buffers()}
    stale = penalty()
    torch.testing.assert_close(dict(penalty.named_buffers()), before, rtol=0, atol=0)
    penalty.train()
    for _ in range(50):
        total = penalty()
    assert stale < 0.95 * total
    torch.testing.assert_close(total, sum(map(largest, convolutions)), rtol=1e-3, atol=0)


def test_weights_that_start_at_zero_are_followed_once_they_leave_it():
    convolutions = layers()
    nn.init.zeros_(convolutions[0].weight)
    penalty = SpectralPenalty(convolutions)
    torch.testing.assert_close(penalty(), sum(map(largest, convolutions)), rtol=1e-2, atol=0)
    with torch.no_grad():
        convolutions[0].weight.normal_()
    for _ in range(50):
        total = penalty()
    torch.testing.assert_close(total, sum(map(largest, convolutions)), rtol=1e-3, atol=0)


def test_of_a_masked_convolution_only_what_it_convolves_with_counts():
    torch.manual_seed(0)
    owners = torch.arange(2)
    layer = MaskedConvolution(owners, owners, 3, strict=True, mirrored=False)
    penalty = SpectralPenalty([layer], iterations=200)
    total = penalty()
    torch.testing.assert_close(total, largest(layer), rtol=1e-4, atol=0)
    total.backward()
    assert (layer.weight.grad[layer.mask == 0] == 0).all()


def test_a_loaded_penalty_goes_on_where_it_was():
    first, second = SpectralPenalty(layers()), SpectralPenalty(layers())
    for _ in range(3):
        first()
    second.load_state_dict(first.state_dict())
    assert first() == second()


def test_autocast_does_not_change_it():
    plain, cast = SpectralPenalty(layers()), SpectralPenalty(layers())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = cast()
    assert total.dtype == torch.float32
    assert total == plain()


def test_it_saves_no_weight_twice():
    assert set(SpectralPenalty(layers()).state_dict()) == {"left_0", "left_1", "left_2"}


@pytest.mark.parametrize(
    "weights",
    [
        pytest.param((0.5, 0.0), marks=pytest.mark.slow),
        pytest.param((0.0, 0.5), marks=pytest.mark.slow),
        (0.1, 0.2),
    ],
)
def test_a_models_regularization_weighs_convolutions_and_batch_norms(weights):
    torch.manual_seed(0)
    config = TOY.model_copy(
        update={"spectral_weight": weights[0], "batch_norm_weight": weights[1], "flows": 1}
    )
    model = NVAE(config, (1, 8, 8), 1, BernoulliLikelihood)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in model.modules() if isinstance(m, ImageBatchNorm)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.copy_(torch.randn(norm.weight.shape))
    for _ in range(60):
        total = model.regularization()
    expected = weights[0] * sum(map(largest, convolutions)) + weights[1] * sum(
        norm.weight.abs().max() for norm in norms
    )
    torch.testing.assert_close(total, expected, rtol=2e-3, atol=0)
    assert len(norms) > 10
    total.backward()
