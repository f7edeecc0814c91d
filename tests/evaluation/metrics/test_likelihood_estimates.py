"""Estimates of the likelihood against a model whose every figure is known."""

import json
import math

import pytest
import torch

from helpers.linear_gaussian import LinearGaussian, TwoGroupGaussian
from helpers.toy_models import image_vae
from pc_crvae.evaluation.metrics.likelihood import (
    NLL,
    importance_sampled_nll,
    rate_and_distortion,
    sums_of_groups,
)
from pc_crvae.randomness.draws import Draws, keyed_generator

STRENGTHS = [2.0, 1.0, 0.3]


def inexact():
    return LinearGaussian(STRENGTHS, mean_error=0.05, log_variance_error=0.4)


def summary(model, x, samples):
    return NLL.of_items(*importance_sampled_nll(model, x, samples=samples), samples, x[0].numel())


def test_the_nll_covers_the_true_one_within_its_stated_error():
    model = inexact()
    x = model.observe(3000)
    estimate = summary(model, x, samples=200)
    truth = -model.evidence(x)
    assert estimate.items == 3000
    # Over the same items, all that is left is the estimator's own noise and bias.
    assert estimate.mean == pytest.approx(float(truth.mean()), abs=0.02)
    # Over all items that could have been drawn: the differential entropy of p(x).
    entropy = 0.5 * (1 + math.log(2 * math.pi)) * 6 + 0.5 * (
        6 * math.log(0.25) + float((1 + model.strengths.square() / 0.25).log().sum())
    )
    assert estimate.stderr == pytest.approx(math.sqrt(3 / 3000), rel=0.1)  # Var(-log p) = 6/2
    assert abs(estimate.mean - entropy) < 3 * estimate.stderr


def test_few_samples_overestimate_and_more_come_nearer():
    model = inexact()
    x = model.observe(2000)
    truth = -float(model.evidence(x).mean())
    errors = [summary(model, x, samples=s).mean - truth for s in (1, 4, 32)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.3
    assert errors[-1] == pytest.approx(0, abs=0.03)


def test_with_the_true_posterior_every_weight_is_the_evidence():
    model = LinearGaussian(STRENGTHS)
    x = model.observe(20)
    nll, effective = importance_sampled_nll(model, x, samples=3)
    torch.testing.assert_close(nll, -model.evidence(x))
    torch.testing.assert_close(effective, torch.full((20,), 3.0).double())


def test_the_effective_sample_size_is_that_of_the_weights_and_falls_as_the_proposal_worsens():
    sizes = []
    for error in (0.0, 0.4, -1.5):
        model = LinearGaussian(STRENGTHS, log_variance_error=error)
        _, effective = importance_sampled_nll(model, model.observe(50), samples=400)
        assert (effective >= 1).all()
        assert (effective <= 400 + 1e-6).all()
        sizes.append(float(effective.mean()))
    assert sizes[0] == pytest.approx(400)
    # For q wider by c: E[w]^2 / E[w^2] = prod (2 - e^-c)^(1/2) e^(-c/2) a dimension.
    expected = 400 * (math.sqrt(2 * math.exp(0.4) - 1) / math.exp(0.4)) ** 3
    assert sizes[1] == pytest.approx(expected, rel=0.1)
    assert sizes[2] < 40


def test_one_item_by_hand():
    model = inexact()
    x = model.observe(1)
    (nll,), (size,) = importance_sampled_nll(model, x, samples=7)
    q = model.posterior(x)
    source, weights = Draws(keyed_generator("importance", 0, 0), 1), []
    for _ in range(7):
        (z,) = q.sample(source)
        ratio = (model.prior().log_prob(z) - q.log_prob(z)).sum()
        weights.append((model.likelihood((z,)).log_prob(x) + ratio).exp())
    weights = torch.cat(weights)
    torch.testing.assert_close(nll, -weights.mean().log().detach())
    effective = weights.sum() ** 2 / weights.square().sum()
    torch.testing.assert_close(size, effective.detach())


@pytest.mark.parametrize("decoded_at_once", [1, 30, 45, 10000])
def test_how_many_are_decoded_at_once_does_not_matter(decoded_at_once):
    model = inexact()
    x = model.observe(25)
    options = {"samples": 10, "items_at_once": 10}
    expected = importance_sampled_nll(model, x, **options)
    found = importance_sampled_nll(model, x, **options, decoded_at_once=decoded_at_once)
    torch.testing.assert_close(found, expected)


def test_no_more_is_decoded_at_once_than_asked_for():
    model, sizes = inexact(), []
    likelihood = model.likelihood
    model.likelihood = lambda path: (sizes.append(len(path[0])), likelihood(path))[1]
    importance_sampled_nll(
        model, model.observe(25), samples=10, items_at_once=10, decoded_at_once=35
    )
    assert max(sizes) == 30
    assert sum(sizes) == 250


def test_bits_per_dimension_are_the_nats_shared_out():
    model = inexact()
    told = summary(model, model.observe(10), samples=5)
    assert told.bits_per_dimension == pytest.approx(told.mean / math.log(2) / 6)


def test_a_hierarchical_model_is_evaluated_like_a_flat_one():
    model = TwoGroupGaussian()
    x = model.observe(12)
    truth = -model.evidence(x)
    nll, effective = importance_sampled_nll(model, x, samples=5000, decoded_at_once=20000)
    # The relative error of a mean of weights is one over the root of the effective sample size.
    assert (effective > 20).all()
    assert ((nll - truth).abs() < 4 / effective.sqrt()).all()

    rate, distortion, kl_per_dimension = rate_and_distortion(model, x, samples=50)
    kl_per_group = sums_of_groups(model, kl_per_dimension)
    assert len(kl_per_group) == 2
    assert sum(kl_per_group) == pytest.approx(float(rate.mean()))
    assert (distortion + rate > truth).all()


def test_rate_and_distortion_are_the_elbo_s_halves_and_known():
    model, exact = inexact(), LinearGaussian(STRENGTHS)
    x = model.observe(2000)
    rate, distortion, kl_per_dimension = rate_and_distortion(model, x, samples=20)
    kl = model.posterior(x).kl(model.prior(), ()).detach()
    torch.testing.assert_close(rate, kl.sum(1))
    torch.testing.assert_close(kl_per_dimension, kl.mean(0))
    assert sums_of_groups(model, kl_per_dimension) == [pytest.approx(float(kl.sum(1).mean()))]
    gap = model.posterior(x).kl(exact.posterior(x), ()).sum(1).detach()
    expected = model.evidence(x) - gap
    elbo = -distortion - rate
    noise = float((elbo - expected).std()) / math.sqrt(2000)
    assert float((elbo - expected).mean()) == pytest.approx(0, abs=4 * noise)
    assert noise < 0.02


def test_the_summary_is_of_plain_numbers():
    of_items, sizes = importance_sampled_nll(inexact(), inexact().observe(30), samples=5)
    nll = NLL.of_items(of_items, sizes, 5, 6)
    assert (nll.samples, nll.items) == (5, 30)
    assert nll.mean == pytest.approx(float(of_items.mean()))
    assert nll.effective_sample_size.min == float(sizes.min())
    json.dumps(nll.plain())


@pytest.mark.parametrize("estimate", [importance_sampled_nll, rate_and_distortion])
def test_the_model_is_left_as_it_was_and_evaluated_without_noise_of_its_own(estimate):
    model = image_vae(batch_norm=True).train()
    x = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rng = torch.get_rng_state()
    first, again, other = (estimate(model, x, samples=3, seed=seed) for seed in (0, 0, 1))
    assert all(map(torch.equal, first, again))
    assert not all(map(torch.equal, first, other))
    assert model.training
    assert torch.equal(torch.get_rng_state(), rng)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
