"""Objectives equal their formulas, sample by sample."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from helpers.toy_models import LATENT_DIM, clouds, image_vae, point_vae
from pc_crvae.latents.posteriors import PointMass
from pc_crvae.objectives.base import AutoEncoding, SinglePass
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.randomness.draws import Draws, keyed_generator


def draws(count=3, rows=None):
    return Draws(keyed_generator("objective"), count, rows)


def by_hand(model, x):
    """Log-likelihood (B,) at the sample the draws give, and the KL (B, D), by torch's own."""
    features = model.encoder(x)
    mean = model.head.mean(features)
    log_variance = 12 * torch.tanh(model.head.log_variance(features) / 12)
    noise = torch.randn(len(x), LATENT_DIM, generator=keyed_generator("objective"))
    latent = mean + torch.exp(log_variance / 2) * noise
    decoded = model.decoder(latent)
    squares = torch.cdist(x, decoded).square()
    log_likelihood = -50 * (squares.min(2).values.mean(1) + squares.min(1).values.mean(1))
    kl = kl_divergence(Normal(mean, torch.exp(log_variance / 2)), Normal(0.0, 1.0))
    return log_likelihood, kl


def evaluate(objective, model, x, **options):
    return objective(model, model.posterior(x), x, draws(len(x)), **options)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 4.0])
def test_the_elbo_is_the_log_likelihood_less_beta_times_the_kl(beta):
    model, x = point_vae(), clouds()
    log_likelihood, kl = by_hand(model, x)
    evaluation = evaluate(ELBO(beta), model, x)
    assert evaluation.objective.shape == (3,)
    assert set(evaluation.terms) == {"log_likelihood", "kl", "kl_per_dimension"}
    torch.testing.assert_close(evaluation.terms["log_likelihood"], log_likelihood)
    torch.testing.assert_close(evaluation.terms["kl_per_dimension"], kl)
    torch.testing.assert_close(evaluation.terms["kl"], kl.sum(1))
    torch.testing.assert_close(evaluation.objective, log_likelihood - beta * kl.sum(1))


def test_beta_is_one_unless_said_otherwise():
    model, x = point_vae(), clouds()
    assert torch.equal(
        evaluate(ELBO(), model, x).objective, evaluate(ELBO(1.0), model, x).objective
    )


@pytest.mark.parametrize("warmup", [0.0, 0.25, 1.0])
def test_the_warm_up_scales_what_the_kl_costs_and_not_what_is_reported(warmup):
    model, x = point_vae(), clouds()
    log_likelihood, kl = by_hand(model, x)
    evaluation = evaluate(ELBO(2.0), model, x, kl_warmup=warmup)
    torch.testing.assert_close(evaluation.objective, log_likelihood - warmup * 2 * kl.sum(1))
    torch.testing.assert_close(evaluation.terms["kl"], kl.sum(1))


def test_free_bits_make_a_dimension_cost_at_least_so_much_and_report_the_true_kl():
    model, x = point_vae(), clouds()
    log_likelihood, kl = by_hand(model, x)
    free = kl.median().item()
    evaluation = evaluate(ELBO(2.0, free_bits=free), model, x)
    charged = torch.maximum(kl, torch.tensor(free)).sum(1)
    assert (charged > kl.sum(1)).any()
    torch.testing.assert_close(evaluation.objective, log_likelihood - 2 * charged)
    torch.testing.assert_close(evaluation.terms["kl"], kl.sum(1))


def test_a_dimension_within_its_free_bits_has_no_gradient_from_the_kl():
    model, x = point_vae(), clouds()
    posterior = model.posterior(x)
    posterior.log_variance.retain_grad()
    posterior.mean.retain_grad()
    evaluation = ELBO(free_bits=1e6)(model, posterior, x, draws())
    (evaluation.objective - evaluation.terms["log_likelihood"]).sum().backward()
    # The sample's own gradient cancels in the difference up to rounding.
    assert posterior.mean.grad.abs().max() < 1e-4
    assert posterior.log_variance.grad.abs().max() < 1e-4


@pytest.mark.parametrize("posterior", ["code", "gaussian"])
def test_an_auto_encoder_maximises_the_log_likelihood_alone(posterior):
    model, x = point_vae(posterior=posterior), clouds()
    evaluation = evaluate(AutoEncoding(), model, x)
    expected = model.likelihood(evaluation.path).log_prob(x)
    assert set(evaluation.terms) == {"log_likelihood"}
    assert torch.equal(evaluation.objective, expected)
    assert torch.equal(evaluation.terms["log_likelihood"], expected)


def test_an_auto_encoder_s_sample_is_its_code():
    model, x = point_vae(posterior="code"), clouds()
    evaluation = evaluate(AutoEncoding(), model, x)
    assert isinstance(model.posterior(x), PointMass)
    assert torch.equal(evaluation.path[0], model.posterior(x).mean)


def test_the_elbo_of_an_auto_encoder_s_code_is_refused():
    model, x = point_vae(posterior="code"), clouds()
    with pytest.raises(TypeError, match="no KL"):
        evaluate(ELBO(), model, x)


def test_the_target_is_what_the_likelihood_explains():
    model, x, target = point_vae(), clouds(), clouds(seed=1)
    evaluation = ELBO()(model, model.posterior(x), target, draws())
    expected = model.likelihood(evaluation.path).log_prob(target)
    assert torch.equal(evaluation.terms["log_likelihood"], expected)


@pytest.mark.parametrize("objective", [ELBO(2.0), ELBO(free_bits=0.3), AutoEncoding()])
@pytest.mark.parametrize(
    ("model", "x"),
    [(point_vae(), clouds(4)), (image_vae(), clouds(4).reshape(4, 1, 6, 8)[..., :4, :4])],
)
def test_no_sample_s_objective_depends_on_the_others_in_its_batch(objective, model, x):
    whole = evaluate(objective, model, x)
    for item in range(4):
        rows = slice(item, item + 1)
        alone = objective(model, model.posterior(x[rows]), x[rows], draws(4, rows))
        torch.testing.assert_close(alone.objective, whole.objective[rows])
        for name, term in whole.terms.items():
            torch.testing.assert_close(alone.terms[name], term[rows])


@pytest.mark.parametrize(("beta", "free_bits"), [(-1.0, 0.0), (1.0, -0.1)])
def test_negative_weights_are_refused(beta, free_bits):
    with pytest.raises(ValueError, match="must not be negative"):
        ELBO(beta, free_bits)


def test_a_single_pass_is_the_objective_of_x():
    model, x = point_vae(), clouds()
    terms = SinglePass(model, ELBO(2.0))(x, draws(), kl_warmup=0.5, consistency_warmup=0.5)
    evaluation = evaluate(ELBO(2.0), model, x, kl_warmup=0.5)
    assert torch.equal(terms.pop("objective"), evaluation.objective)
    assert terms.keys() == evaluation.terms.keys()
    for name, term in terms.items():
        assert torch.equal(term, evaluation.terms[name])
