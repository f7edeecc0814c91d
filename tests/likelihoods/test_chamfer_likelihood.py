"""The Chamfer likelihood is -scale times the distance it names."""

import itertools

import pytest
import torch

from benchmarks.textbook.chamfer import chamfer
from pc_crvae.likelihoods import ChamferLikelihood

VARIANTS = list(itertools.product([True, False], ["sum", "mean", "max"]))


@pytest.mark.parametrize(("squared", "directions"), VARIANTS)
@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_each_variant_is_minus_scale_times_the_reference_distance(squared, directions, scale):
    generator = torch.Generator().manual_seed(0)
    x, points = torch.randn(3, 9, 3, generator=generator), torch.randn(3, 7, 3, generator=generator)
    likelihood = ChamferLikelihood(points, scale, squared=squared, directions=directions)
    expected = [
        -scale * chamfer(a.numpy(), b.numpy(), squared=squared, directions=directions)
        for a, b in zip(x, points, strict=True)
    ]
    assert likelihood.log_prob(x).shape == (3,)
    assert likelihood.log_prob(x).tolist() == pytest.approx(expected, rel=1e-5)
    assert likelihood.mean is points


def test_without_options_it_is_the_sum_of_both_squared_directions():
    x, points = torch.randn(2, 9, 3), torch.randn(2, 7, 3)
    named = ChamferLikelihood(points, 3.0, squared=True, directions="sum")
    assert torch.equal(ChamferLikelihood(points, 3.0).log_prob(x), named.log_prob(x))


def test_with_scale_n_over_two_sigma_squared_a_direction_is_the_exponent_of_gaussian_noise():
    # A flat grid of N points, each observed once with noise along the normal: in either
    # direction the nearest point is its own, at the distance of the noise.
    sigma, count = 0.02, 1024
    side = torch.arange(32.0)
    surface = torch.cartesian_prod(side, side, torch.zeros(1))
    noise = sigma * torch.randn(count, generator=torch.Generator().manual_seed(0))
    x = surface + noise[:, None] * torch.tensor([0.0, 0.0, 1.0])
    exponent = -(noise.square() / (2 * sigma**2)).sum().item()

    scale = count / (2 * sigma**2)
    log_prob = {
        directions: ChamferLikelihood(surface[None], scale, directions=directions).log_prob(x[None])
        for directions in ("sum", "mean")
    }
    assert scale == pytest.approx(1.28e6)
    assert log_prob["mean"].item() == pytest.approx(exponent, rel=1e-4)
    assert log_prob["sum"].item() == pytest.approx(2 * exponent, rel=1e-4)


def test_under_autocast_it_is_computed_in_float32():
    x, points = torch.randn(2, 32, 3), torch.randn(2, 24, 3)
    plain = ChamferLikelihood(points, 1e6).log_prob(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = ChamferLikelihood(points, 1e6).log_prob(x)
        half = ChamferLikelihood(points.bfloat16(), 1e6).log_prob(x)
    assert cast.dtype == half.dtype == torch.float32
    assert torch.equal(plain, cast)


def test_gradients_reach_the_decoded_points():
    points = torch.randn(2, 7, 3, requires_grad=True)
    ChamferLikelihood(points, 10.0).log_prob(torch.randn(2, 9, 3)).sum().backward()
    assert points.grad.any()
