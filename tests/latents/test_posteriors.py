"""Posteriors sample what they say they are, and their KLs are the textbook's."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.distributions import Independent, Normal, kl_divergence

from helpers.toy_models import TwoGroups, rows_of
from pc_crvae.latents.posteriors import DiagonalGaussian, PointMass, gaussian_kl
from pc_crvae.randomness.draws import Draws, keyed_generator

SHAPE = (2, 5)


def arrays(bound):
    return hnp.arrays("float64", SHAPE, elements=st.floats(-bound, bound)).map(torch.from_numpy)


def normal(gaussian):
    """torch's own distribution, in float64."""
    return Normal(
        gaussian.mean.double(), torch.exp(0.5 * gaussian.log_variance.double()), validate_args=False
    )


def random_gaussian(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return DiagonalGaussian(
        torch.randn(*shape, generator=generator, dtype=dtype),
        torch.randn(*shape, generator=generator, dtype=dtype),
    )


def two_groups(rows=2, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    first = DiagonalGaussian(draw(rows, 2), draw(rows, 2))
    return TwoGroups(first, draw(rows, 3), draw(rows, 3), draw(2, 3), draw(2, 3))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-5)])
@given(
    mean=arrays(10),
    log_variance=arrays(12),
    mean_step=arrays(20),
    log_variance_step=arrays(12),
    closeness=st.sampled_from([0.0, 1e-3, 0.1, 1.0]),
)
@settings(deadline=None, max_examples=60)
def test_the_kl_of_gaussians_is_that_of_torch_distributions(
    dtype, tolerance, mean, log_variance, mean_step, log_variance_step, closeness
):
    first = DiagonalGaussian(mean.to(dtype), log_variance.to(dtype))
    second = DiagonalGaussian(
        (mean + closeness * mean_step).to(dtype),
        (log_variance + closeness * log_variance_step).to(dtype),
    )
    kl = gaussian_kl(first, second)
    assert kl.dtype == dtype
    assert (kl >= 0).all()
    # torch itself is off by about 1e-15 nats (times the exponents' conditioning).
    torch.testing.assert_close(
        kl.double(), kl_divergence(normal(first), normal(second)), rtol=tolerance, atol=1e-13
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-6), (torch.float32, 1e-5)])
@pytest.mark.parametrize("step", [1e-12, 1e-8, 1e-5, 1e-4, -1e-4, 1e-3, -1e-3])
def test_the_kl_of_nearly_equal_variances_keeps_its_digits(dtype, tolerance, step):
    second = DiagonalGaussian(torch.zeros(1, 1, dtype=dtype), torch.zeros(1, 1, dtype=dtype))
    first = DiagonalGaussian(second.mean, torch.full((1, 1), step, dtype=dtype))
    x = first.log_variance.item()
    expected = 0.5 * (x**2 / 2 + x**3 / 6 + x**4 / 24)  # of (exp(x) - 1 - x) / 2
    assert gaussian_kl(first, second).item() == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("edge", [0.1, -0.1])
def test_the_kl_has_no_step_where_its_series_ends(edge):
    log_variances = edge + torch.linspace(-1e-6, 1e-6, 21, dtype=torch.float64)[:, None]
    first = DiagonalGaussian(torch.zeros_like(log_variances), log_variances)
    kl = gaussian_kl(first, DiagonalGaussian.standard(1, like=log_variances))
    torch.testing.assert_close(
        kl, 0.5 * (torch.expm1(log_variances) - log_variances), rtol=1e-8, atol=0
    )


def test_the_kl_of_a_gaussian_to_itself_is_exactly_zero():
    gaussian = random_gaussian(3, 4, dtype=torch.float32)
    assert torch.equal(gaussian.kl(gaussian, ()), torch.zeros(3, 4))


def test_the_kl_is_not_symmetric_and_has_its_first_argument_first():
    narrow = DiagonalGaussian(torch.zeros(1, 1), torch.full((1, 1), -2.0))
    wide = DiagonalGaussian(torch.zeros(1, 1), torch.full((1, 1), 2.0))
    assert narrow.kl(wide, ()).item() == pytest.approx((math.exp(-4) - 1 + 4) / 2)
    assert wide.kl(narrow, ()).item() == pytest.approx((math.exp(4) - 1 - 4) / 2)


@pytest.mark.parametrize("gap", [0.0, 1e-3, 1.0, 5.0])
def test_the_gradients_of_the_kl_are_right(gap):
    generator = torch.Generator().manual_seed(0)
    mean, log_variance, mean_step, log_variance_step = (
        torch.randn(2, 3, generator=generator, dtype=torch.float64) for _ in range(4)
    )
    parameters = (
        mean,
        log_variance,
        mean + gap * mean_step,
        log_variance + gap * log_variance_step,
    )

    def kl(*parameters):
        return gaussian_kl(DiagonalGaussian(*parameters[:2]), DiagonalGaussian(*parameters[2:]))

    assert torch.autograd.gradcheck(kl, tuple(p.clone().requires_grad_() for p in parameters))


def test_the_gradients_stay_finite_for_variances_far_apart():
    log_variance = torch.tensor([[40.0, -40.0]], requires_grad=True)
    gaussian = DiagonalGaussian(torch.zeros(1, 2), log_variance)
    gaussian.kl(DiagonalGaussian.standard(2, like=log_variance), ()).sum().backward()
    assert log_variance.grad.isfinite().all()


def test_the_log_density_is_that_of_torch_distributions():
    gaussian = random_gaussian(3, 4)
    latent = torch.randn(3, 4, dtype=torch.float64)
    torch.testing.assert_close(gaussian.log_prob(latent), normal(gaussian).log_prob(latent))


def test_samples_have_the_mean_and_the_variance():
    gaussian = DiagonalGaussian(
        torch.tensor([[1.0, -2.0]]).expand(40_000, 2), torch.tensor([[0.5, -3.0]]).expand(40_000, 2)
    )
    (latent,) = gaussian.sample(Draws(keyed_generator("samples"), 40_000))
    deviation = torch.exp(0.5 * gaussian.log_variance[0])
    assert ((latent.mean(0) - gaussian.mean[0]).abs() < 0.02 * deviation).all()
    assert ((latent.std(0) / deviation - 1).abs() < 0.02).all()
    assert (torch.corrcoef(latent.T)[0, 1]).abs() < 0.02


def test_samples_are_differentiable_in_mean_and_log_variance():
    parameters = [p.clone().requires_grad_() for p in vars(random_gaussian(2, 3)).values()]

    def sample(mean, log_variance):
        return DiagonalGaussian(mean, log_variance).sample(Draws(keyed_generator("s"), 2))[0]

    assert torch.autograd.gradcheck(sample, parameters)


def test_two_processes_sample_between_them_what_one_would():
    gaussian = random_gaussian(4, 3, dtype=torch.float32)
    (whole,) = gaussian.sample(Draws(keyed_generator("s"), 4))
    halves = [
        rows_of(gaussian, rows).sample(Draws(keyed_generator("s"), 4, rows))[0]
        for rows in (slice(0, 2), slice(2, 4))
    ]
    assert torch.equal(whole, torch.cat(halves))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_parameters_are_promoted_to_float32(dtype):
    first = random_gaussian(2, 3, dtype=torch.float32)
    half = DiagonalGaussian(first.mean.to(dtype), first.log_variance.to(dtype))
    promoted = DiagonalGaussian(half.mean.float(), half.log_variance.float())
    assert half.mean.dtype == half.log_variance.dtype == torch.float32
    assert half.sample(Draws(keyed_generator("s"), 2))[0].dtype == torch.float32
    assert PointMass(torch.zeros(2, 3, dtype=dtype)).mean.dtype == torch.float32
    prior = DiagonalGaussian.standard(3, like=torch.zeros(1, dtype=dtype))
    assert torch.equal(half.kl(prior, ()), promoted.kl(prior, ()))
    assert half.kl(prior, ()).dtype == torch.float32


def test_autocast_changes_neither_kl_nor_sample_nor_density():
    first, second = (random_gaussian(3, 4, seed=s, dtype=torch.float32) for s in (0, 1))

    def everything():
        (latent,) = first.sample(Draws(keyed_generator("s"), 3))
        return first.kl(second, (latent,)), latent, first.log_prob(latent)

    plain = everything()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = everything()
    for one, other in zip(plain, cast, strict=True):
        assert other.dtype == torch.float32
        assert torch.equal(one, other)


def test_one_group_has_the_flat_kl_along_any_path():
    first, second = random_gaussian(2, 3), random_gaussian(2, 3, seed=1)
    flat = kl_divergence(normal(first), normal(second))
    for seed in range(3):
        path = first.sample(Draws(keyed_generator("path", seed), 2))
        torch.testing.assert_close(first.kl(second, path), flat)


def test_the_kl_of_two_groups_has_their_dimensions_side_by_side_on_the_same_path():
    first, second = two_groups(), two_groups(seed=1)
    z_1, z_2 = first.sample(Draws(keyed_generator("path"), 2))
    expected = torch.cat(
        [
            kl_divergence(normal(first.first), normal(second.first)),
            kl_divergence(normal(first.second(z_1)), normal(second.second(z_1))),
        ],
        dim=1,
    )
    torch.testing.assert_close(first.kl(second, (z_1, z_2)), expected)


def test_the_kl_of_two_groups_averages_to_the_monte_carlo_estimate():
    count = 40_000
    first, second = (
        TwoGroups(
            rows_of(chain.first, slice(0, 1)),
            chain.shift[:1],
            chain.log_variance[:1],
            chain.mix / 3,
            chain.spread / 3,
        )
        for chain in (two_groups(), two_groups(seed=1))
    )
    repeated = first.rows(torch.zeros(count, dtype=torch.long))
    path = repeated.sample(Draws(keyed_generator("monte carlo"), count))

    def log_density(chain):
        parts = zip(chain.conditionals(path), path, strict=True)
        return sum(Independent(normal(part), 1).log_prob(latent) for part, latent in parts)

    estimate = log_density(first) - log_density(second)
    chain_rule = repeated.kl(second, path).sum(dim=1)
    error = (estimate - chain_rule).std() / math.sqrt(count)
    assert (estimate.mean() - chain_rule.mean()).abs() < 4 * error
    assert error < 0.02 * chain_rule.mean()
    assert chain_rule.std() > 0.01 * chain_rule.mean()  # the second group does depend on z_1


def test_chains_of_different_lengths_have_no_kl():
    chain = two_groups()
    path = chain.sample(Draws(keyed_generator("path"), 2))
    with pytest.raises(ValueError, match="zip"):
        chain.kl(random_gaussian(2, 2), path)


def test_the_prior_broadcasts_over_the_batch():
    gaussian = random_gaussian(3, 4)
    prior = DiagonalGaussian.standard(4, like=gaussian.mean)
    expected = kl_divergence(
        normal(gaussian), Normal(torch.zeros(4).double(), torch.ones(4).double())
    )
    assert prior.mean.dtype == torch.float64
    torch.testing.assert_close(gaussian.kl(prior, ()), expected)


def test_a_point_mass_is_its_code_and_refuses_every_kl():
    code = torch.randn(2, 3, requires_grad=True)
    mass, gaussian = PointMass(code), random_gaussian(2, 3, dtype=torch.float32)
    (latent,) = mass.sample(Draws(keyed_generator("s"), 2))
    assert latent is code
    assert mass.mean is code
    assert not mass.has_density
    for one, other in ((mass, gaussian), (gaussian, mass), (mass, mass)):
        with pytest.raises(TypeError, match="has no density and therefore no KL"):
            one.kl(other, (code,))


@pytest.mark.parametrize("kind", [PointMass, lambda mean: DiagonalGaussian(mean, mean)])
def test_detached_copies_are_the_same_distribution(kind):
    mean = torch.randn(4, 3, requires_grad=True)
    chain = kind(mean)
    assert torch.equal(chain.detach().mean, mean)
    assert not any(parameter.requires_grad for parameter in vars(chain.detach()).values())


def test_parameters_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"mean \(2, 3\) and log_variance \(2, 4\)"):
        DiagonalGaussian(torch.zeros(2, 3), torch.zeros(2, 4))
