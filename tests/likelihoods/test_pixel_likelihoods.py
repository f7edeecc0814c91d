"""Bernoulli and Gaussian pixels are torch's own distributions, summed over an image."""

import pytest
import torch
from torch.distributions import Bernoulli, Normal

from pc_crvae.likelihoods import (
    BernoulliLikelihood,
    DiscretizedLogisticLikelihood,
    DiscretizedLogisticMixtureLikelihood,
    GaussianLikelihood,
)
from pc_crvae.randomness.draws import Draws, keyed_generator


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def uniform(*shape, seed=1, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def levels(*shape, seed=1, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, shape, generator=generator).to(dtype) / 255


def draws(count, rows=None, seed=0):
    return Draws(keyed_generator("likelihood", seed), count, rows)


EVERY = {
    "bernoulli": (BernoulliLikelihood, 3),
    "gaussian": (lambda parameters: GaussianLikelihood(*parameters.chunk(2, dim=1)), 6),
    "fixed gaussian": (lambda parameters: GaussianLikelihood(parameters, -3.0), 3),
    "logistic": (DiscretizedLogisticLikelihood, 6),
    "mixture": (lambda parameters: DiscretizedLogisticMixtureLikelihood(parameters, 3), 20),
}


def test_bernoulli_is_torch_s_own():
    logits = 5 * normal(4, 1, 6, 5)
    x = (uniform(4, 1, 6, 5) < 0.5).float()
    likelihood = BernoulliLikelihood(logits)
    expected = Bernoulli(logits=logits).log_prob(x).sum(dim=(1, 2, 3))
    torch.testing.assert_close(likelihood.log_prob(x), expected)
    torch.testing.assert_close(likelihood.mean, torch.sigmoid(logits))


def test_bernoulli_of_grey_levels_is_the_expectation_over_drawn_pixels():
    logits, grey = normal(1, 1, 2, 2, dtype=torch.float64), uniform(1, 1, 2, 2, dtype=torch.float64)
    likelihood, expected = BernoulliLikelihood(logits), 0.0
    for pattern in range(16):
        x = torch.tensor([(pattern >> bit) & 1 for bit in range(4)]).double().reshape(1, 1, 2, 2)
        probability = torch.where(x == 1, grey, 1 - grey).prod()
        expected = expected + probability * likelihood.log_prob(x)
    torch.testing.assert_close(likelihood.log_prob(grey), expected)


def test_bernoulli_is_finite_and_right_for_extreme_logits():
    logits = torch.tensor([200.0, -200.0, 200.0, -200.0]).reshape(4, 1, 1, 1)
    x = torch.tensor([1.0, 0.0, 0.0, 1.0]).reshape(4, 1, 1, 1)
    assert BernoulliLikelihood(logits).log_prob(x).tolist() == [0, 0, -200, -200]


@pytest.mark.parametrize("log_variance", [-3.0, "each"])
def test_gaussian_is_torch_s_own(log_variance):
    mean, x = normal(4, 3, 6, 5), uniform(4, 3, 6, 5)
    if log_variance == "each":
        log_variance = normal(4, 3, 6, 5, seed=2)
    likelihood = GaussianLikelihood(mean, log_variance)
    deviation = torch.exp(0.5 * torch.as_tensor(log_variance))
    expected = Normal(mean, deviation).log_prob(x).sum(dim=(1, 2, 3))
    torch.testing.assert_close(likelihood.log_prob(x), expected)
    assert torch.equal(likelihood.mean, mean)


@pytest.mark.parametrize("kind", EVERY)
def test_gradients_are_those_of_finite_differences(kind):
    make, channels = EVERY[kind]
    parameters = (0.5 * normal(1, channels, 1, 2, dtype=torch.float64)).requires_grad_()
    x = levels(1, 3, 1, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda values: make(values).log_prob(x), parameters)


# A variance of e^-100 a pixel is nothing a likelihood can mend.
@pytest.mark.parametrize("kind", sorted(EVERY.keys() - {"gaussian"}))
@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 300.0])
def test_values_and_gradients_are_finite_however_wrong_the_parameters(kind, scale):
    make, channels = EVERY[kind]
    parameters = (scale * normal(8, channels, 4, 4)).requires_grad_()
    x = levels(8, 3, 4, 4)
    x[0], x[1] = 0.0, 1.0
    log_prob = make(parameters).log_prob(x)
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert parameters.grad.isfinite().all()


@pytest.mark.parametrize("kind", EVERY)
def test_under_autocast_and_from_half_precision_all_is_float32(kind):
    make, channels = EVERY[kind]
    parameters, x = normal(2, channels, 4, 4), levels(2, 3, 4, 4)
    half = parameters.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast, from_half = make(parameters), make(half)
        assert torch.equal(cast.log_prob(x), make(parameters).log_prob(x))
        log_prob = from_half.log_prob(x)
        assert log_prob.dtype == from_half.mean.dtype == torch.float32
        assert from_half.sample(draws(2)).dtype == torch.float32
    assert torch.equal(cast.log_prob(x), make(parameters).log_prob(x))
    assert torch.equal(log_prob, make(half.float()).log_prob(x))


@pytest.mark.parametrize("kind", EVERY)
def test_an_item_s_log_prob_and_sample_depend_on_itself_alone(kind):
    make, channels = EVERY[kind]
    parameters, x = normal(5, channels, 3, 4), levels(5, 3, 3, 4)
    whole, sampled = make(parameters), make(parameters).sample(draws(5))
    assert whole.log_prob(x).shape == (5,)
    assert whole.mean.shape == sampled.shape == x.shape
    for rows in (slice(0, 2), [4, 1]):
        part = make(parameters[rows])
        torch.testing.assert_close(part.log_prob(x[rows]), whole.log_prob(x)[rows])
        assert torch.equal(part.sample(draws(5, rows)), sampled[rows])


@pytest.mark.parametrize("kind", EVERY)
def test_samples_are_drawn_from_the_draws_alone_and_carry_no_gradient(kind):
    make, channels = EVERY[kind]
    likelihood = make(normal(2, channels, 4, 4).requires_grad_())
    state = torch.get_rng_state()
    first, again, other = (likelihood.sample(draws(2, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not first.requires_grad
    assert torch.equal(torch.get_rng_state(), state)


def test_sampled_bernoulli_pixels_are_1_as_often_as_their_mean_says():
    likelihood = BernoulliLikelihood(normal(1, 1, 3, 3).expand(20000, 1, 3, 3))
    sampled = likelihood.sample(draws(20000))
    assert set(sampled.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(sampled.mean(0), likelihood.mean[0], atol=0.02, rtol=0)


def test_sampled_gaussian_pixels_have_the_mean_and_the_deviation():
    log_variance = normal(1, 1, 3, 3, seed=3)
    likelihood = GaussianLikelihood(normal(1, 1, 3, 3).expand(20000, 1, 3, 3), log_variance)
    sampled = likelihood.sample(draws(20000))
    torch.testing.assert_close(sampled.mean(0), likelihood.mean[0], atol=0.06, rtol=0)
    torch.testing.assert_close(sampled.var(0).log(), log_variance[0], atol=0.06, rtol=0)
