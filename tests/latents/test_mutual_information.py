"""Mutual information and the aggregate posterior, against figures that are known."""

import dataclasses
import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from helpers.linear_gaussian import LinearGaussian
from pc_crvae.latents import statistics
from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.latents.statistics import active_units, aggregate_log_prob, mutual_information


def gaussians(count, dimensions, seed=0, spread=1.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    means = spread * torch.randn(count, dimensions, generator=generator, dtype=dtype)
    log_variances = torch.randn(count, dimensions, generator=generator, dtype=dtype) - 1
    return DiagonalGaussian(means, log_variances)


def standard(dimensions):
    return DiagonalGaussian(*torch.zeros(2, 1, dimensions, dtype=torch.float64))


@pytest.mark.parametrize("spread", [0.1, 1.0, 100.0])
def test_the_aggregate_is_torch_s_own_mixture(spread):
    posteriors = gaussians(7, 3, spread=spread)
    latents = spread * torch.randn(2500, 3, generator=torch.Generator().manual_seed(1)).double()
    mixture = MixtureSameFamily(
        Categorical(torch.ones(7, dtype=torch.float64)),
        Independent(Normal(posteriors.mean, posteriors.standard_deviation), 1),
    )
    densities = aggregate_log_prob(posteriors, latents)
    torch.testing.assert_close(densities, mixture.log_prob(latents))


def test_parts_of_any_size_give_the_same_information(monkeypatch):
    posteriors = gaussians(23, 3)
    whole = mutual_information(posteriors, standard(3))
    latents = torch.randn(11, 3, generator=torch.Generator().manual_seed(1)).double()
    densities = aggregate_log_prob(posteriors, latents)
    monkeypatch.setattr(statistics, "_ROWS_AT_ONCE", 4)
    torch.testing.assert_close(aggregate_log_prob(posteriors, latents), densities)
    in_parts = mutual_information(posteriors, standard(3))
    assert dataclasses.astuple(in_parts) == pytest.approx(dataclasses.astuple(whole), rel=1e-9)


def test_an_encoder_that_is_wrong_has_the_information_and_the_aggregate_that_are_known():
    model = LinearGaussian([1.5, 1.0, 0.3], mean_error=0.2, log_variance_error=0.8)
    posteriors = model.posterior(model.observe(5000))
    found = mutual_information(posteriors, model.prior())
    # q(z) is a Gaussian: A (W W^T + sigma^2) A^T + diag(exp(c)), about 0.
    gain, variances = model.gain.detach(), model.log_variance.detach().exp()
    covariance = model.weight @ model.weight.T + model.sigma**2 * torch.eye(6).double()
    aggregate = (gain @ covariance @ gain.T + variances.diag()).detach()
    information = 0.5 * float(aggregate.logdet() - variances.log().sum())
    divergence = 0.5 * float(aggregate.trace() - 3 - aggregate.logdet())
    bias = math.log1p((math.exp(information) - 1) / 5000)
    assert found.estimate == pytest.approx(information - bias, abs=4 * found.stderr)
    assert found.rate == pytest.approx(information + divergence, abs=0.05)
    assert found.aggregate_kl == pytest.approx(divergence, abs=0.05 + 4 * found.stderr)
    # Far from what an exact encoder's would be, so that neither term can be left out.
    assert abs(information - model.mutual_information()) > 0.3
    assert divergence > 0.1 + 4 * found.stderr


def test_narrow_posteriors_far_out_keep_their_digits():
    means = 50 + torch.rand(5, 4, generator=torch.Generator().manual_seed(0))
    posteriors = DiagonalGaussian(means, torch.full((5, 4), -12.0))
    own = posteriors.log_prob(means).sum(1).double()
    found = aggregate_log_prob(posteriors, means)
    torch.testing.assert_close(found, own - math.log(5), atol=1e-4, rtol=0)


def test_the_information_of_a_linear_gaussian_model_is_known():
    model = LinearGaussian([2.0, 1.0, 0.3])
    posteriors = model.posterior(model.observe(5000))
    found = mutual_information(posteriors, model.prior())
    truth = model.mutual_information()
    assert 2 < truth < math.log(5000) - 4
    bias = math.log1p((math.exp(truth) - 1) / 5000)
    assert found.estimate == pytest.approx(truth - bias, abs=4 * found.stderr)
    assert found.stderr < 0.05
    assert found.log_n == pytest.approx(math.log(5000))
    assert not found.saturated
    # The exact posteriors aggregate to the prior.
    assert found.aggregate_kl == pytest.approx(0, abs=0.1)
    assert found.rate == pytest.approx(truth, abs=0.1)


def test_active_units_of_a_linear_gaussian_model_are_known():
    model = LinearGaussian([2.0, 0.06, 1.0, 0.04])  # variances .94, .014, .8, .006
    means = model.posterior(model.observe(20000)).mean
    expected = model.variances_of_the_posterior_mean()
    torch.testing.assert_close(means.detach().var(0), expected, rtol=0.1, atol=0)
    assert active_units(means) == int((expected > 0.01).sum()) == 3


def test_posteriors_that_do_not_overlap_saturate_at_log_n():
    posteriors = gaussians(50, 4, spread=100.0)
    found = mutual_information(posteriors, standard(4))
    assert found.estimate == pytest.approx(math.log(50))
    assert found.saturated
    assert found.estimate <= found.log_n + 1e-9


def test_the_mark_stands_where_the_estimate_comes_near_log_n_and_nowhere_else():
    marks = {}
    for strength in (0.2, 1.0, 5.0):
        model = LinearGaussian([strength] * 3, sigma=0.2)
        found = mutual_information(model.posterior(model.observe(500)), model.prior())
        marks[strength] = found.saturated
        assert found.saturated == (found.estimate > math.log(500) - 2)
        if found.saturated:  # the truth lies beyond what it can say
            assert model.mutual_information() > found.estimate
        else:
            assert model.mutual_information() == pytest.approx(found.estimate, abs=0.25)
    assert marks == {0.2: False, 1.0: True, 5.0: True}


def test_posteriors_that_ignore_x_hold_no_information_but_have_a_kl():
    same = DiagonalGaussian(torch.full((40, 3), 1.5), torch.full((40, 3), -1.0))
    found = mutual_information(same, standard(3))
    assert found.estimate == pytest.approx(0, abs=1e-5)
    assert not found.saturated
    assert found.aggregate_kl == pytest.approx(found.rate)
    assert found.rate == pytest.approx(3 * 0.5 * (math.exp(-1) + 1.5**2 - 1 + 1), rel=1e-5)


def test_a_seed_fixes_the_latents():
    model = LinearGaussian([1.0, 0.5])
    posteriors = model.posterior(model.observe(2000))
    one = mutual_information(posteriors, model.prior())
    assert mutual_information(posteriors, model.prior()) == one
    assert mutual_information(posteriors, model.prior(), seed=1) != one
