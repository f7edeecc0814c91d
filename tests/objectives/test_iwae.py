"""The importance-weighted bound against a model whose evidence is known."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from helpers.linear_gaussian import LinearGaussian, TwoGroupGaussian
from helpers.toy_models import clouds, image_vae, point_vae
from pc_crvae.objectives.base import SinglePass
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.objectives.iwae import IWAE, log_density
from pc_crvae.randomness.draws import Draws, keyed_generator

GRADIENTS = ["reparameterized", "doubly_reparameterized"]
STRENGTHS = [2.0, 1.0, 0.3]


def draws(count, seed=0, rows=None):
    return Draws(keyed_generator("iwae", seed), count, rows)


def inexact():
    """Its posterior is wrong in mean and in width."""
    return LinearGaussian(STRENGTHS, mean_error=0.05, log_variance_error=0.4)


def evaluate(objective, model, x, seed=0, **options):
    return objective(model, model.posterior(x), x, draws(len(x), seed), **options)


def mean_and_stderr(values):
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


def by_hand(model, x, samples, kl_warmup=1.0):
    """log w_k of every sample, (K, B), by torch's own distributions."""
    q = model.posterior(x)
    posterior = Normal(q.mean, q.standard_deviation)
    source, log_weights = draws(len(x)), []
    for _ in range(samples):
        z = q.mean + q.standard_deviation * source.normal(model.dimensions).to(x)
        decoded = z @ model.weight.T + model.bias
        log_likelihood = Normal(decoded, model.sigma).log_prob(x.flatten(1)).sum(1)
        ratio = (Normal(0.0, 1.0).log_prob(z) - posterior.log_prob(z)).sum(1)
        log_weights.append(log_likelihood + kl_warmup * ratio)
    return torch.stack(log_weights)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("samples", [1, 2, 5])
@pytest.mark.parametrize("kl_warmup", [0.0, 0.3, 1.0])
def test_the_bound_is_the_log_of_the_mean_weight(samples, kl_warmup, gradient):
    model = inexact()
    x = model.observe(7)
    evaluation = evaluate(IWAE(samples, gradient), model, x, kl_warmup=kl_warmup)
    weights = by_hand(model, x, samples, kl_warmup).exp()
    torch.testing.assert_close(evaluation.objective, weights.mean(0).log())
    effective = weights.sum(0).square() / weights.square().sum(0)
    torch.testing.assert_close(evaluation.terms["effective_samples"], effective)
    log_likelihoods = by_hand(model, x, samples, kl_warmup=0)
    torch.testing.assert_close(evaluation.terms["log_likelihood"], log_likelihoods.mean(0).detach())


def test_the_plain_gradient_is_that_of_the_formula():
    model = inexact()
    x = model.observe(7)
    bound = evaluate(IWAE(4), model, x).objective.sum()
    expected = (torch.logsumexp(by_hand(model, x, 4), dim=0) - math.log(4)).sum()
    for found, wanted in zip(
        torch.autograd.grad(bound, list(model.parameters())),
        torch.autograd.grad(expected, list(model.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_with_the_true_posterior_any_number_of_samples_gives_the_evidence(gradient):
    model = LinearGaussian(STRENGTHS)
    x = model.observe(50)
    for samples in (1, 3):
        bound = evaluate(IWAE(samples, gradient), model, x).objective
        torch.testing.assert_close(bound, model.evidence(x))


def test_the_elbo_lies_below_the_evidence_by_the_kl_to_the_true_posterior():
    model, exact = inexact(), LinearGaussian(STRENGTHS)
    x = model.observe(20000)
    gap = model.evidence(x) - evaluate(ELBO(), model, x).objective
    expected = model.posterior(x).kl(exact.posterior(x), ()).sum(dim=1).mean().item()
    mean, stderr = mean_and_stderr(gap)
    assert expected > 0.3
    assert mean == pytest.approx(expected, abs=4 * stderr)


def test_the_bound_rises_with_the_number_of_samples_towards_the_evidence():
    model = inexact()
    x = model.observe(4000)
    evidence = model.evidence(x)
    gaps = []
    for samples in (1, 2, 8, 64):
        gap, stderr = mean_and_stderr(evidence - evaluate(IWAE(samples), model, x).objective)
        assert gap > -4 * stderr
        gaps.append(gap)
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] > 0.3
    assert gaps[-1] < 0.01


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_one_sample_is_the_elbo_with_the_kl_taken_at_that_sample(gradient):
    model = inexact()
    x = model.observe(5)
    one, elbo = evaluate(IWAE(1, gradient), model, x), evaluate(ELBO(), model, x)
    assert torch.equal(one.path[0], elbo.path[0])
    sampled_kl = log_density(model.posterior(x), one.path) - log_density(model.prior(), one.path)
    expected = elbo.terms["log_likelihood"] - sampled_kl
    torch.testing.assert_close(one.objective, expected)
    assert one.terms["effective_samples"].tolist() == [1.0] * 5


def test_one_sample_is_in_expectation_the_elbo_with_the_analytic_kl():
    model = inexact()
    x = model.observe(1).expand(100000, 1, 1, 6)
    difference = evaluate(IWAE(1), model, x).objective - evaluate(ELBO(), model, x).objective
    mean, stderr = mean_and_stderr(difference)
    assert stderr < 0.01
    assert abs(mean) < 4 * stderr


def parameter_gradients(model, gradient, kl_warmup, repeats=1000, samples=4):
    """Gradients of the bound at one observation: their mean and standard error, flattened."""
    x = model.observe(1)
    batch = x.expand(repeats, *x.shape[1:])
    found = []
    for seed in range(30):
        objective = IWAE(samples, gradient)
        evaluation = evaluate(objective, model, batch, seed=seed, kl_warmup=kl_warmup)
        parts = torch.autograd.grad(evaluation.objective.mean(), list(model.parameters()))
        found.append(torch.cat([part.flatten() for part in parts]))
    stacked = torch.stack(found)
    return stacked.mean(0), stacked.std(0) / math.sqrt(len(found))


@pytest.mark.parametrize("make", [inexact, TwoGroupGaussian], ids=["flat", "two groups"])
@pytest.mark.parametrize("kl_warmup", [0.4, 1.0])
def test_the_doubly_reparameterised_gradient_is_unbiased(kl_warmup, make):
    plain, plain_error = parameter_gradients(make(), "reparameterized", kl_warmup)
    doubly, doubly_error = parameter_gradients(make(), "doubly_reparameterized", kl_warmup)
    errors = (plain_error.square() + doubly_error.square()).sqrt()
    assert ((plain - doubly).abs() < 4.5 * errors).all()
    assert (plain.abs() > 10 * errors).float().mean() > 0.4  # a difference would be seen


def test_a_chain_is_weighed_by_its_joint_density():
    model = TwoGroupGaussian()
    x = model.observe(6)
    evaluation = evaluate(IWAE(1), model, x)
    z_1, z_2 = evaluation.path
    q, p = model.posterior(x), model.prior()
    ratio = p.first.log_prob(z_1).sum(1) - q.first.log_prob(z_1).sum(1)
    ratio = ratio + p.second(z_1).log_prob(z_2).sum(1) - q.second(z_1).log_prob(z_2).sum(1)
    expected = model.likelihood(evaluation.path).log_prob(x) + ratio
    torch.testing.assert_close(evaluation.objective, expected)
    bound, stderr = mean_and_stderr(
        model.evidence(x[:1]) - evaluate(IWAE(512), model, x[:1].expand(40, 1, 1, 4)).objective
    )
    assert bound == pytest.approx(0, abs=0.02 + 4 * stderr)


def test_the_doubly_reparameterised_gradient_of_the_encoder_is_nil_at_the_true_posterior():
    # And the plain one is not: there the weights are equal and their score remains as noise.
    model = LinearGaussian(STRENGTHS)
    x = model.observe(10)
    encoder = [model.gain, model.log_variance]
    norms = {}
    for gradient in GRADIENTS:
        bound = evaluate(IWAE(4, gradient), model, x).objective.sum()
        norms[gradient] = max(
            part.abs().max().item() for part in torch.autograd.grad(bound, encoder)
        )
    assert norms["doubly_reparameterized"] < 1e-10
    assert norms["reparameterized"] > 1e-2


def test_the_doubly_reparameterised_gradient_is_the_plain_one_for_the_decoder():
    model = inexact()
    x = model.observe(5)
    decoder = [model.weight, model.bias]
    plain, doubly = (
        torch.autograd.grad(evaluate(IWAE(4, g), model, x).objective.sum(), decoder)
        for g in GRADIENTS
    )
    for a, b in zip(plain, doubly, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_the_path_given_on_is_a_plain_sample_whose_gradients_nothing_scales(gradient):
    model = inexact()
    x = model.observe(5)
    posterior = model.posterior(x)
    evaluation = IWAE(4, gradient)(model, posterior, x, draws(5))
    (expected,) = posterior.sample(draws(5))
    assert torch.equal(evaluation.path[0], expected)
    (mine,) = torch.autograd.grad(evaluation.path[0].sum(), model.log_variance, retain_graph=True)
    (plain,) = torch.autograd.grad(expected.sum(), model.log_variance, retain_graph=True)
    torch.testing.assert_close(mine, plain)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_the_terms_reported_are_the_elbo_s_own_and_carry_no_gradient(gradient):
    model = inexact()
    x = model.observe(2000)
    evaluation, elbo = evaluate(IWAE(16, gradient), model, x), evaluate(ELBO(), model, x)
    assert set(evaluation.terms) == {*elbo.terms, "effective_samples"}
    assert not any(term.requires_grad for term in evaluation.terms.values())
    torch.testing.assert_close(evaluation.terms["kl"], elbo.terms["kl"])
    torch.testing.assert_close(evaluation.terms["kl_per_dimension"], elbo.terms["kl_per_dimension"])
    mean, stderr = mean_and_stderr(elbo.terms["log_likelihood"])
    assert evaluation.terms["log_likelihood"].mean().item() == pytest.approx(mean, abs=4 * stderr)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize(
    ("model", "x"),
    [(point_vae(), clouds(4)), (image_vae(), clouds(4).reshape(4, 1, 6, 8)[..., :4, :4])],
)
def test_no_sample_s_bound_depends_on_the_others_in_its_batch(gradient, model, x):
    objective = IWAE(3, gradient)
    whole = objective(model, model.posterior(x), x, draws(4))
    for item in range(4):
        rows = slice(item, item + 1)
        alone = objective(model, model.posterior(x[rows]), x[rows], draws(4, rows=rows))
        torch.testing.assert_close(alone.objective, whole.objective[rows], rtol=1e-4, atol=1e-4)
        for name, term in whole.terms.items():
            torch.testing.assert_close(alone.terms[name], term[rows], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_under_consistency_both_bounds_count_and_the_kl_is_the_flat_one(gradient):
    model = inexact()
    x = model.observe(6)

    def move(x, draws):
        return x + draws.uniform(1, 1, 1, low=0.1, high=0.5).to(x)

    objective = ConsistencyRegularized(model, IWAE(3, gradient), move, weight=2.0)
    terms = objective(x, draws(6))
    source = draws(6)
    moved = move(x, source)
    first = IWAE(3, gradient)(model, model.posterior(x), x, source)
    second = IWAE(3, gradient)(model, model.posterior(moved), moved, source)
    kl = model.posterior(moved).kl(model.posterior(x), ()).sum(dim=1)
    expected = first.objective + second.objective - 2 * kl
    torch.testing.assert_close(terms["objective"], expected)
    torch.testing.assert_close(terms["consistency"], kl)
    for found, wanted in zip(
        torch.autograd.grad(terms["objective"].sum(), list(model.parameters())),
        torch.autograd.grad(expected.sum(), list(model.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


def test_without_gradients_it_evaluates_all_the_same():
    model = inexact()
    x = model.observe(4)
    expected = evaluate(IWAE(3), model, x).objective
    with torch.no_grad():
        for gradient in GRADIENTS:
            torch.testing.assert_close(evaluate(IWAE(3, gradient), model, x).objective, expected)


@pytest.mark.parametrize("beta", [1.0, 0.0, 4.0])
def test_beta_1_is_the_vae(beta):
    model = inexact()
    x = model.observe(5)
    terms = SinglePass(model, ELBO(beta=beta))(x, draws(5))
    # Kingma & Welling (2014), equation 10, by torch's own distributions.
    q = model.posterior(x)
    z = q.mean + q.standard_deviation * draws(5).normal(model.dimensions).to(x)
    decoded = Normal(z @ model.weight.T + model.bias, model.sigma)
    kl = kl_divergence(Normal(q.mean, q.standard_deviation), Normal(0.0, 1.0)).sum(1)
    elbo = decoded.log_prob(x.flatten(1)).sum(1) - kl
    assert kl.min() > 0.1
    torch.testing.assert_close(terms["objective"], elbo - (beta - 1) * kl)
    for found, wanted in zip(
        torch.autograd.grad(terms["objective"].sum(), list(model.parameters())),
        torch.autograd.grad((elbo - (beta - 1) * kl).sum(), list(model.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


def test_an_auto_encoder_s_code_has_no_weights():
    model, x = point_vae(posterior="code"), clouds()
    with pytest.raises(TypeError, match="no KL"):
        IWAE(2)(model, model.posterior(x), x, draws(3))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="must be positive"):
        IWAE(0)
    with pytest.raises(ValueError, match="unknown gradient"):
        IWAE(2, "score")


def test_the_doubly_reparameterised_bound_refuses_a_second_derivative():
    model = inexact()
    x = model.observe(3).requires_grad_()
    bound = evaluate(IWAE(2, "doubly_reparameterized"), model, x).objective.sum()
    with pytest.raises(NotImplementedError, match="no second derivatives"):
        torch.autograd.grad(bound, x, create_graph=True)
