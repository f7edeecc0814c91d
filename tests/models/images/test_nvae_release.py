"""The cells of NVAE's release: as many weights, the same skip connections, masks and shifts."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.nvae_release import release_weights
from helpers.nvae_sizes import MNIST, TOY
from pc_crvae.config import find_config, load_config
from pc_crvae.config.nvae import NVAEConfig
from pc_crvae.likelihoods import BernoulliLikelihood
from pc_crvae.models.images.nvae import NVAE
from pc_crvae.models.images.nvae.flows import Flow
from pc_crvae.models.images.nvae.networks import BottomUp, GroupsTopDown, Tail
from pc_crvae.models.images.nvae.release import (
    NormalizedMaskedConvolution,
    ReleaseAutoregressiveCell,
    ShiftedReduction,
)
from pc_crvae.models.images.nvae.spectral import SpectralPenalty
from pc_crvae.objectives.base import SinglePass
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.randomness.draws import Draws, keyed_generator

SHAPE = (2, 3, 2)
SIZE = 12


def weights(config: NVAEConfig, image_channels: int, parameters: int, top: tuple[int, int]) -> int:
    with torch.device("meta"):
        parts = (
            BottomUp(config, image_channels),
            GroupsTopDown(config, top),
            Tail(config, parameters),
        )
    return sum(p.numel() for part in parts for p in part.parameters())


# Ours before the release's cells: what models saved without the option have.
PUBLISHED = {
    "mnist": (None, (1, 1, (4, 4)), 33_474_430, 33_363_134),
    "cifar10-nvae": ("cifar10-nvae", (3, 100, (16, 16)), 135_740_496, 130_852_480),
    "celeba64": ("celeba64", (3, 100, (8, 8)), 159_083_804, 153_281_364),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_models_have_as_many_weights_as_the_release(name):
    file, sizes, own, release = PUBLISHED[name]
    config = MNIST if file is None else load_config(find_config(Path(file))).model
    with_release = config.model_copy(update={"release_cells": True})
    assert weights(with_release, *sizes) == release_weights(with_release, *sizes) == release
    without = config.model_copy(update={"release_cells": False})
    assert weights(without, *sizes) == own
    assert file is None or config.release_cells


@pytest.mark.parametrize("flows", [0, 2])
def test_small_models_have_as_many_weights_as_the_release(flows):
    config = TOY.model_copy(update={"release_cells": True, "flows": flows})
    assert weights(config, 1, 3, (2, 2)) == release_weights(config, 1, 3, (2, 2))


def test_a_saved_description_without_the_option_has_the_cells_it_was_saved_with():
    assert not NVAEConfig(name="nvae").release_cells
    plain, release = (
        NVAE(
            TOY.model_copy(update={"release_cells": cells, "flows": 1}),
            (1, 8, 8),
            1,
            BernoulliLikelihood,
        )
        for cells in (False, True)
    )
    assert plain.state_dict().keys() != release.state_dict().keys()
    with pytest.raises(RuntimeError):
        release.load_state_dict(plain.state_dict())


def test_a_skip_that_halves_gives_each_quarter_of_the_channels_another_of_four_pixels():
    skip = ShiftedReduction(2, 8).double()
    images = torch.randn(3, 2, 4, 6, dtype=torch.float64)
    found = skip(images)
    active = F.silu(images)
    offsets = [(0, 0), (1, 1), (0, 1), (1, 0)]  # down, right
    for part, (down, right), layer in zip(
        found.chunk(4, dim=1), offsets, skip.convolutions, strict=True
    ):
        pixels = active[:, :, down::2, right::2]
        expected = torch.einsum("oi,bihw->bohw", layer.weight[:, :, 0, 0], pixels)
        torch.testing.assert_close(part, expected + layer.bias[:, None, None])
    assert found.shape == (3, 8, 2, 3)


def ordered(images: Tensor, *, mirrored: bool) -> Tensor:
    """Pixels by rows and columns or in reverse, the channels of each in their own order."""
    by_pixel = images.flatten(2).transpose(1, 2)  # (B, H W, C)
    return (by_pixel.flip(1) if mirrored else by_pixel).flatten(1)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_cell_sees_only_what_comes_before_and_no_context(mirrored):
    torch.manual_seed(0)
    cell = ReleaseAutoregressiveCell(2, 3, mirrored=mirrored).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_(std=0.5)

    noise = torch.randn(1, *SHAPE, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda e: cell(e, torch.empty(0)), noise)
    jacobian = jacobian.reshape(SIZE, *SHAPE)
    rows = ordered(jacobian, mirrored=mirrored).t().reshape(SIZE, *SHAPE)
    by_order = ordered(rows, mirrored=mirrored).t()  # output, input
    assert (by_order[torch.triu(torch.ones(SIZE, SIZE, dtype=torch.bool))] == 0).all()
    assert (by_order.diagonal(-1) != 0).all()


def test_weights_are_normalised_over_what_is_visible():
    owners = torch.arange(3)
    layer = NormalizedMaskedConvolution(owners, owners, 3, strict=True, mirrored=False)
    weight = layer.masked_weight
    assert ((layer.mask == 0) <= (weight == 0)).all()
    lengths = weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths.log(), layer.log_scale.flatten(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("pairs", [1, 2])
def test_flows_of_the_release_have_an_inverse_and_keep_volume(pairs):
    torch.manual_seed(0)
    flow = Flow(SHAPE, 3, pairs=pairs, cell=ReleaseAutoregressiveCell).double()
    latents = torch.randn(2, SIZE, dtype=torch.float64)
    features = torch.randn(2, 3, *SHAPE[1:], dtype=torch.float64)
    there = flow(latents, features)
    assert (there - latents).abs().max() > 1e-3
    torch.testing.assert_close(flow(there, features, inverse=True), latents)
    jacobian = torch.autograd.functional.jacobian(lambda z: flow(z, features)[0], latents)[:, 0]
    assert abs(torch.linalg.slogdet(jacobian).logabsdet) < 1e-8


@pytest.mark.parametrize("flows", [0, 1])
def test_it_trains_and_every_weight_has_a_gradient(flows):
    torch.manual_seed(0)
    config = TOY.model_copy(update={"release_cells": True, "flows": flows})
    model = NVAE(config, (1, 8, 8), 1, BernoulliLikelihood)
    objective = SinglePass(model, ELBO(balanced_groups=True, balancing="release"))
    x = torch.rand(4, 1, 8, 8)
    terms = objective(x, Draws(keyed_generator("step"), 4))
    (model.regularization() - terms["objective"].mean()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_the_spectral_penalty_is_of_the_weights_that_convolve():
    owners = torch.arange(3)
    layer = NormalizedMaskedConvolution(owners, owners, 3, strict=True, mirrored=False)
    assert isinstance(layer, nn.Conv2d)
    penalty = SpectralPenalty([layer])
    for _ in range(50):
        total = penalty()
    largest = torch.linalg.svdvals(layer.masked_weight.flatten(1))[0]
    torch.testing.assert_close(total, largest, rtol=1e-4, atol=0)
