"""NVAE: equal to the VAE with one group, sized by configuration, trained without surprises."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from helpers.nvae_sizes import MNIST, TOY, cifar10
from helpers.toy_models import rows_of
from pc_crvae.latents.hierarchical import HierarchicalPosterior
from pc_crvae.likelihoods import BernoulliLikelihood
from pc_crvae.models.images.nvae import NVAE
from pc_crvae.models.images.nvae.cells import ImageBatchNorm, encoder_cell, generative_cell
from pc_crvae.models.images.nvae.gaussian import ClampedGaussian, soft_clamp
from pc_crvae.models.vae import VAE, evaluating
from pc_crvae.objectives.base import SinglePass
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.objectives.regularization import Regularized
from pc_crvae.randomness.draws import Draws, keyed_generator


def toy(shape=(1, 8, 8), parameters=1, seed=0, **changes):
    torch.manual_seed(seed)
    config = TOY.model_copy(update=changes)
    return NVAE(config, shape, parameters, BernoulliLikelihood)


def away_from_the_start(model):
    """With priors, posteriors and what is between them as far from zero as training takes them."""
    with torch.no_grad():
        for group in model.top_down.groups:
            for part in (group.prior, group.posterior):
                if part is not None:
                    part.parametrizations.weight.original0.mul_(3)
    return model


def images(count=6, shape=(1, 8, 8), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.bernoulli(torch.full((count, *shape), 0.3), generator=generator)


def draws(count=6, *key):
    return Draws(keyed_generator("nvae", *key), count)


def flip(x, _):
    return x.flip(-1)


def test_with_one_group_it_is_the_vae_of_the_same_layers():
    model = toy(groups_per_scale=(1,)).double()
    group = model.top_down.groups[0]

    class Encoder(nn.Module):
        def forward(self, x):
            return model.encoder(2 * x - 1)[0]

    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = group.posterior

        def forward(self, features):
            mean, log_sigma = self.mean(features).chunk(2, dim=1)
            return ClampedGaussian(mean.flatten(1), log_sigma.flatten(1))

    class Decoder(nn.Module):
        def forward(self, latent):
            state = model.top_down.initial.expand(len(latent), -1, -1, -1)
            image = latent.view(-1, *group.latent_shape)
            return model.decoder(group.absorb(torch.cat([state, image], dim=1)))

    flat = VAE(Encoder(), Head(), Decoder(), BernoulliLikelihood, group.size)
    x = images().double()
    results = []
    for candidate in (model, flat):
        model.zero_grad()
        objective = ConsistencyRegularized(candidate, ELBO(), flip, weight=1.0)
        terms = objective(x, draws())
        terms["objective"].sum().backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        results.append((terms, gradients))
    (terms, gradients), (flat_terms, flat_gradients) = results
    torch.testing.assert_close(terms, flat_terms, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(gradients, flat_gradients, rtol=1e-8, atol=1e-9)
    assert gradients.keys() == dict(model.named_parameters()).keys()
    with evaluating(model):
        torch.testing.assert_close(model.posterior(x).mean, flat.posterior(x).mean)


@pytest.mark.parametrize(
    ("shape", "resolution"),
    [((1, 8, 8), 2), ((1, 28, 28), 7), ((3, 32, 32), 8), ((1, 30, 30), 8)],
)
def test_groups_lie_at_the_configured_scales_and_pixels_come_out_at_the_images_size(
    shape, resolution
):
    model = toy(shape, parameters=5)
    path = model.posterior(images(2, shape)).sample(draws(2))
    sizes = [2 * resolution**2, 2 * (2 * resolution) ** 2, 2 * (2 * resolution) ** 2]
    assert [latent.shape for latent in path] == [(2, size) for size in sizes]
    assert model.top_down.group_sizes == tuple(sizes)
    assert model.likelihood(path).mean.shape == (2, 5, *shape[1:])
    assert model.posterior(images(2, shape)).mean.shape == (2, sum(sizes))


def test_the_likelihood_is_of_the_image_without_its_frame():
    model = toy((1, 30, 30)).eval()  # padded to 32 pixels
    x = images(2, (1, 30, 30))
    path = model.posterior(x).sample(draws(2))
    terms = []
    for changed in (x, x.clone()):
        if changed is not x:
            changed[:, :, 0, 0] = 1 - changed[:, :, 0, 0]
        terms.append(model.likelihood(path).log_prob(changed))
    logit = torch.logit(model.likelihood(path).mean[:, 0, 0, 0].double())
    sign = torch.where(x[:, 0, 0, 0] == 1, -1.0, 1.0)
    torch.testing.assert_close((terms[1] - terms[0]).double(), sign * logit, atol=1e-3, rtol=0)


def test_a_frame_of_zeros_drawn_by_hand_gives_the_same_posterior():
    framed = toy((1, 30, 30)).eval()
    whole = toy((1, 32, 32)).eval()
    whole.load_state_dict(framed.state_dict())
    x = images(2, (1, 30, 30))
    by_hand = torch.zeros(2, 1, 32, 32)
    by_hand[:, :, 1:31, 1:31] = x
    torch.testing.assert_close(framed.posterior(x).mean, whole.posterior(by_hand).mean)
    path = framed.posterior(x).sample(draws(2))
    torch.testing.assert_close(
        framed.likelihood(path).mean, whole.likelihood(tuple(path)).mean[:, :, 1:31, 1:31]
    )


@pytest.mark.parametrize("double", [False, True])
def test_a_generative_cell_convolves_depthwise_between_two_products(double):
    cell = generative_cell(6, expansion=4, double=double)
    inside = [module for module in cell.branch.modules() if isinstance(module, nn.Conv2d)]
    assert [tuple(module.weight.shape) for module in inside] == [
        (24, 6, 1, 1),
        (24, 1, 5, 5),
        (3 if double else 6, 24, 1, 1),
    ]
    assert cell(torch.randn(2, 6, 4, 4)).shape == ((2, 3, 8, 8) if double else (2, 6, 4, 4))
    assert sum(isinstance(module, ImageBatchNorm) for module in cell.modules()) == 4


def test_an_encoder_cell_halves_and_lets_every_pixel_through():
    cell = encoder_cell(4, halve=True).eval()
    x = torch.randn(1, 4, 6, 6, requires_grad=True)
    y = cell(x)
    assert y.shape == (1, 8, 3, 3)
    (gradient,) = torch.autograd.grad(cell.skip(x).square().sum(), x)
    assert (gradient.abs().sum(dim=1) > 0).all()
    assert encoder_cell(4)(torch.randn(2, 4, 6, 6)).shape == (2, 4, 6, 6)


def test_a_cell_is_nearly_the_identity_at_first_and_leaves_its_input_alone():
    cell = generative_cell(6, expansion=2).train()
    x = torch.randn(8, 6, 4, 4)
    kept = x.clone()
    assert (cell(x) - x).std() < 0.15
    assert torch.equal(x, kept)


def test_batch_norm_of_images_is_that_of_torch():
    norm, reference = ImageBatchNorm(3), nn.BatchNorm2d(3, momentum=0.05)
    x = torch.randn(4, 3, 5, 6) * 2 + 1
    torch.testing.assert_close(norm(x), reference(x))
    torch.testing.assert_close(norm.running_var, reference.running_var)
    torch.testing.assert_close(norm.eval()(x), reference.eval()(x))


def test_the_soft_clamp_stays_within_its_bound_and_is_the_identity_near_zero():
    values = torch.linspace(-1e4, 1e4, 2001, dtype=torch.float64)
    assert (soft_clamp(values).abs() <= 5).all()
    near = torch.linspace(-0.01, 0.01, 11, dtype=torch.float64)
    torch.testing.assert_close(soft_clamp(near), near, rtol=1e-5, atol=0)
    extreme = ClampedGaussian(torch.full((1, 1), 1e30), torch.full((1, 1), -1e30))
    assert extreme.mean.item() == 5
    assert extreme.standard_deviation.item() == pytest.approx(math.exp(-5))
    kl = extreme.kl(ClampedGaussian(torch.full((1, 1), -1e30), torch.full((1, 1), 1e30)), ())
    assert kl.isfinite().all()


def test_a_posterior_that_says_nothing_is_the_prior():
    prior = ClampedGaussian(torch.randn(2, 3) * 4, torch.randn(2, 3) * 4)
    nothing = torch.zeros(2, 3)
    assert torch.equal(prior.shifted(nothing, nothing).kl(prior, ()), nothing)
    shifted = prior.shifted(nothing + 0.1, nothing - 0.2)
    torch.testing.assert_close(shifted.mean, soft_clamp(prior.raw_mean + 0.1))
    torch.testing.assert_close(shifted.log_variance, 2 * soft_clamp(prior.raw_log_sigma - 0.2))


@pytest.mark.parametrize(
    "second", [pytest.param("prior", marks=pytest.mark.slow), "another posterior"]
)
def test_the_kl_of_a_random_nvae_is_the_monte_carlo_estimate(second):
    model, count = away_from_the_start(toy((1, 4, 4))).double(), 10_000
    x = images(2, (1, 4, 4)).double()
    with evaluating(model):
        first = rows_of(model.posterior(x[:1]), torch.zeros(count, dtype=torch.long))
        other = (
            model.prior()
            if second == "prior"
            else rows_of(model.posterior(x[1:]), torch.zeros(count, dtype=torch.long))
        )
        path = tuple(first.sample(draws(count, "monte carlo")))
        chain_rule = first.kl(other, path)
        log_ratios = [
            (
                Normal(mine.mean, mine.standard_deviation).log_prob(latent)
                - Normal(theirs.mean, theirs.standard_deviation).log_prob(latent)
            ).sum(dim=1)
            for latent, mine, theirs in zip(
                path, first.conditionals(path), other.conditionals(path), strict=True
            )
        ]
    for kl, log_ratio in zip(chain_rule.split(first.group_sizes, dim=1), log_ratios, strict=True):
        difference = log_ratio - kl.sum(dim=1)
        assert difference.mean().abs() < 4 * difference.std() / math.sqrt(count)
    error = (sum(log_ratios) - chain_rule.sum(dim=1)).std() / math.sqrt(count)
    assert error < 0.02 * chain_rule.sum(dim=1).mean()  # a mistake would be seen
    # The groups below the top one do depend on the path.
    assert (chain_rule.sum(dim=1).std() > 0.05 * chain_rule.sum(dim=1).mean()).item()


def test_posteriors_are_relative_to_the_priors_of_their_own_groups():
    model = toy()
    with torch.no_grad():
        for group in model.top_down.groups:
            group.posterior.parametrizations.weight.original0.zero_()
            group.posterior.bias.zero_()
    chain = model.posterior(images())
    path = chain.sample(draws())
    assert torch.equal(chain.kl(model.prior(), path), torch.zeros(6, 72))
    assert model.prior().conditionals(path)[1].mean.abs().max() > 0.01  # not N(0, I)


@pytest.mark.parametrize("flows", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_training_stays_finite_and_gains(flows):
    model = toy((1, 4, 4), flows=flows)
    objective = Regularized(
        ConsistencyRegularized(model, ELBO(balanced_groups=True), flip, weight=1.0),
        model.regularization,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    x = images(16, (1, 4, 4))
    history = []
    for step in range(10):
        terms = objective(x, draws(16, step), kl_warmup=min(1.0, step / 5))
        assert all(term.isfinite().all() for term in terms.values())
        (-terms["objective"].mean()).backward()
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
        optimizer.step()
        optimizer.zero_grad()
        history.append(terms["log_likelihood"].mean().item())
    assert history[-1] > history[0] + 1
    with evaluating(objective):
        terms = objective(x, draws(16))
        assert all(term.isfinite().all() for term in terms.values())


def test_every_weight_is_trained():
    model = toy(flows=1)
    terms = SinglePass(model, ELBO())(images(), draws())
    (-terms["objective"].mean()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_the_kl_of_every_group_is_reported_by_name():
    terms = SinglePass(toy(), ELBO(balanced_groups=True))(images(), draws())
    groups = [terms[f"kl/group {number} of 3"] for number in (1, 2, 3)]
    torch.testing.assert_close(sum(groups), terms["kl"])
    assert next(iter(terms)) == "objective"
    assert next(name for name in terms if name != "objective") == "kl/group 1 of 3"


def test_in_half_precision_kl_and_sample_stay_in_full():
    model = toy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        chain = model.posterior(images())
        path = chain.sample(draws())
        kl = chain.kl(model.prior(), path)
        pixels = model.likelihood(path).mean
    assert {tensor.dtype for tensor in (*path, kl, pixels)} == {torch.float32}
    exact = model.posterior(images())
    assert (kl - exact.kl(model.prior(), exact.sample(draws()))).abs().max() < 0.1


def test_a_copy_and_a_loaded_state_are_the_same_model():
    model = toy(flows=1).train()
    SinglePass(model, ELBO())(images(), draws())  # moves the running statistics
    other = toy(flows=1, seed=3)
    other.load_state_dict(model.state_dict())
    copied = copy.deepcopy(model)
    for candidate in (model, other, copied):
        candidate.eval()
    expected = model.posterior(images()).mean
    assert torch.equal(other.posterior(images()).mean, expected)
    assert torch.equal(copied.posterior(images()).mean, expected)
    assert copied.regularization() == model.regularization() == other.regularization()
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.mul_(2)
    assert copied.regularization() != model.regularization()  # it has its own weights


@pytest.mark.slow
def test_the_published_sizes_build():
    with torch.device("meta"):
        cifar = NVAE(cifar10(), (3, 32, 32), 100, BernoulliLikelihood)
        mnist = NVAE(MNIST, (1, 28, 28), 1, BernoulliLikelihood)
    assert cifar.top_down.group_sizes == (20 * 16 * 16,) * 30
    assert mnist.top_down.group_sizes == (20 * 4 * 4,) * 5 + (20 * 8 * 8,) * 10
    assert cifar.encoder.stem.out_channels == 128
    assert all(len(group.flow.cells) == 2 for group in cifar.top_down.groups)


def test_images_of_another_shape_are_refused():
    for shape in ((1, 9, 8), (3, 8, 8)):
        with pytest.raises(ValueError, match=r"images must have shape \(B, 1, 8, 8\), got"):
            toy().posterior(images(2, shape))


def test_more_groups_in_the_representation_than_there_are_is_refused():
    assert toy(representation_groups=1).posterior(images(2)).mean.shape == (2, 8)
    with pytest.raises(ValueError, match="representation_groups 4 is more than the 3 groups"):
        toy(representation_groups=4)


def test_rows_of_a_batch_are_posteriors_of_their_own():
    model = toy().eval()
    x = images(4)
    whole: HierarchicalPosterior = model.posterior(x)
    torch.testing.assert_close(
        rows_of(whole, slice(1, 3)).mean, model.posterior(x[1:3]).mean, rtol=1e-4, atol=1e-5
    )
