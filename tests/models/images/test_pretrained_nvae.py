"""NVAE as a user holds it: images in, reconstructions and paths between images out."""

import numpy as np
import pytest
import torch

from pc_crvae.config import NVAEModelConfig
from pc_crvae.latents.interpolation import interpolate_latents
from pc_crvae.models import pretrained
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE
from pc_crvae.models.vae import evaluating

SHAPE = (1, 8, 8)


def nvae(flows=0, representation_groups=1):
    """Three groups, of which the representation is the first, with weights away from the start."""
    values = {
        "name": "nvae",
        "initial_channels": 4,
        "groups_per_scale": [1, 2],
        "latent_channels": 2,
        "expansion": 2,
        "flows": flows,
        "representation_groups": representation_groups,
    }
    torch.manual_seed(0)
    model = PretrainedNVAE(NVAEModelConfig.model_validate(values, strict=False), shape=SHAPE)
    with torch.no_grad():
        for parameter in model.top_down.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def images(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, *SHAPE, generator=generator)


def mean_path(model, x):
    """Every group's mean given the means before it, group after group."""
    chain = model.posterior(x)
    path = [torch.zeros(len(x), size) for size in chain.group_sizes]
    for group in range(len(path)):
        path[group] = chain.conditionals(tuple(path))[group].mean
    return tuple(path)


@pytest.mark.parametrize("flows", [0, 1])
def test_a_reconstruction_goes_along_the_path_of_all_means(flows, monkeypatch):
    monkeypatch.setattr(pretrained, "ENCODED_AT_ONCE", 2)
    model, x = nvae(flows), images(5)
    with evaluating(model):
        expected = model.likelihood(mean_path(model, x)).mean
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = model.reconstruct(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (expected.std(dim=0) > 1e-3).any()  # it depends on the image
    assert model.training
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert torch.equal(model.reconstruct(x), found)  # nothing is drawn


def test_one_image_gives_one_reconstruction_of_any_kind_of_array():
    model, x = nvae(), images(1)
    whole = model.reconstruct(x)
    for one in (x[0], x[0, 0], x[0].numpy()):
        assert torch.equal(model.reconstruct(one), whole[0])
    assert torch.equal(model.embed(x[0, 0].numpy()), model.embed(x)[0])
    in_bytes = (255 * x).round().to(torch.uint8)
    torch.testing.assert_close(model.reconstruct(in_bytes), whole, atol=0.01, rtol=0)
    with pytest.raises(ValueError, match=r"images must be \(1, 8, 8\)"):
        model.reconstruct(np.zeros((1, 9, 8), dtype=np.float32))


@pytest.mark.parametrize("kind", ["spherical", "linear"])
def test_an_interpolation_joins_two_reconstructions_group_by_group(kind, monkeypatch):
    monkeypatch.setattr(pretrained, "ENCODED_AT_ONCE", 2)
    model, x = nvae(), images(2)
    found = model.interpolate(x[0], x[1].numpy(), steps=5, kind=kind)
    with evaluating(model):
        path = [interpolate_latents(group[0], group[1], 5, kind) for group in mean_path(model, x)]
        expected = model.likelihood(tuple(path)).mean
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[[0, -1]], model.reconstruct(x), rtol=1e-4, atol=1e-5)
    assert (found[0] - found[-1]).abs().max() > 1e-3


def test_a_batch_has_no_path_between_its_images():
    model, x = nvae(), images(2)
    for start, end in ((x, x[0]), (x[0], x[:1])):
        with pytest.raises(ValueError, match="are one image each"):
            model.interpolate(start, end)


def test_a_model_is_told_in_one_line():
    model = nvae()
    weights = sum(weight.numel() for weight in model.parameters())
    assert repr(model) == f"PretrainedNVAE(shape=(1, 8, 8), groups=3, parameters={weights:,})"
