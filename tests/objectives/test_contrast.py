"""Contrast is what it says, written out by hand; its limits are the cross-entropy and the KL."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from helpers.toy_models import clouds, image_vae, point_vae
from pc_crvae.latents.posteriors import (
    DiagonalGaussian,
    PointMass,
    gaussian_kl,
    pairwise_gaussian_kl,
)
from pc_crvae.objectives.base import AutoEncoding
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.contrast import ContrastByKL, ContrastByProjector, contrast
from pc_crvae.objectives.divergences import Encoded
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.transforms.points import Jitter

B, D = 5, 3


def gaussians(seed, dtype=torch.float64, spread=1.0, requires_grad=False):
    generator = torch.Generator().manual_seed(seed)
    mean = spread * torch.randn(B, D, generator=generator, dtype=dtype)
    log_variance = torch.randn(B, D, generator=generator, dtype=dtype)
    return DiagonalGaussian(mean.requires_grad_(requires_grad), log_variance)


def encoded(posterior):
    return Encoded(posterior, (posterior.mean,))


def by_hand(first, second, temperature):
    """The formula with every KL from torch.distributions, one pair at a time."""
    found = []
    for i in range(B):
        mine = Normal(first.mean[i], first.standard_deviation[i])
        row = [
            kl_divergence(mine, Normal(second.mean[j], second.standard_deviation[j])).sum()
            for j in range(B)
        ]
        exponents = torch.stack([-k / temperature for k in row])
        found.append(row[i] + temperature * torch.logsumexp(exponents, dim=0))
    return torch.stack(found)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 20.0])
@pytest.mark.parametrize("direction", ["transformed_first", "original_first"])
def test_contrast_by_kl_is_the_formula_written_out_by_hand(temperature, direction):
    original, moved = gaussians(0), gaussians(1)
    terms = ContrastByKL(temperature, direction=direction)(encoded(original), encoded(moved))
    pair = (moved, original) if direction == "transformed_first" else (original, moved)
    torch.testing.assert_close(terms["consistency"], by_hand(*pair, temperature))


def test_at_lambda_of_one_over_the_temperature_it_is_the_cross_entropy_of_the_own_item():
    original, moved = gaussians(0), gaussians(1)
    found = ContrastByKL(7.0)(encoded(original), encoded(moved))["consistency"] / 7.0
    logits = -pairwise_gaussian_kl(moved, original) / 7.0
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(B), reduction="none")
    torch.testing.assert_close(found, expected)


def test_for_a_large_temperature_it_is_the_own_kl_less_the_mean_of_the_row():
    original, moved = gaussians(0), gaussians(1)
    pairs = pairwise_gaussian_kl(moved, original)
    temperature = 1e7
    found = ContrastByKL(temperature)(encoded(original), encoded(moved))["consistency"]
    expected = pairs.diagonal() - pairs.mean(dim=1)
    torch.testing.assert_close(found - temperature * math.log(B), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("direction", ["transformed_first", "original_first"])
def test_gradients_of_contrast_by_kl_are_those_of_finite_differences(direction):
    def function(mean, log_variance, other_mean, other_log_variance):
        original = DiagonalGaussian(other_mean, other_log_variance)
        moved = DiagonalGaussian(mean, log_variance)
        divergence = ContrastByKL(2.0, direction=direction)
        return divergence(encoded(original), encoded(moved))["consistency"]

    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(B, D, generator=generator, dtype=torch.float64, requires_grad=True)
        for _ in range(4)
    ]
    assert torch.autograd.gradcheck(function, inputs)


def test_equal_posteriors_have_their_own_kl_of_zero_to_the_last_digit():
    """The expanded square would leave rounding on the diagonal; the closed form does not."""
    mean = 30 + 1e-3 * torch.randn(B, 256, generator=torch.Generator().manual_seed(0))
    same = DiagonalGaussian(mean, torch.full_like(mean, -8.0))
    found = ContrastByKL(1e6)(encoded(same), encoded(same))["consistency"]
    pairs = pairwise_gaussian_kl(same, same)
    others = pairs - torch.diag(pairs.diagonal())
    expected = 1e6 * torch.logsumexp(-others / 1e6, dim=1)
    torch.testing.assert_close(found, expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), spread=st.sampled_from([0.1, 3.0, 30.0, 300.0]))
def test_float32_stays_finite_and_near_float64_at_hundreds_of_nats_and_more(seed, spread):
    exact = [gaussians(seed, spread=spread), gaussians(seed + 100, spread=spread)]
    rounded = [DiagonalGaussian(one.mean.float(), one.log_variance.float()) for one in exact]
    found = ContrastByKL(20.0)(*map(encoded, rounded))["consistency"]
    expected = ContrastByKL(20.0)(*map(encoded, exact))["consistency"]
    assert found.isfinite().all()
    assert (found >= 0).all()
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99))
def test_every_pair_has_the_kl_of_torch_distributions(seed):
    first, second = gaussians(seed), gaussians(seed + 1)
    mine = Normal(first.mean[:, None], first.standard_deviation[:, None])
    theirs = Normal(second.mean[None], second.standard_deviation[None])
    expected = kl_divergence(mine, theirs).sum(dim=2)
    torch.testing.assert_close(pairwise_gaussian_kl(first, second), expected)


def test_pairs_that_nearly_agree_far_from_the_others_keep_their_small_kl():
    """The expansion cancels there; float32 alone would give 4.6 for 0.005."""
    first = DiagonalGaussian(torch.tensor([[100.001]]), torch.tensor([[-9.2]]))
    second = DiagonalGaussian(
        torch.tensor([[100.0], [100.002], [-300.0]]), torch.tensor([[-9.2], [-9.2], [4.6]])
    )
    expected = [gaussian_kl(first, second.__class__(m[None], v[None])).sum() for m, v in zip(
        second.mean, second.log_variance, strict=True)]  # fmt: skip
    torch.testing.assert_close(
        pairwise_gaussian_kl(first, second)[0], torch.stack(expected), rtol=1e-3, atol=1e-4
    )


def test_the_projector_compares_cosines_and_its_weights_are_the_divergence_s():
    torch.manual_seed(0)
    projector = torch.nn.Linear(D, 4).double()
    divergence = ContrastByProjector(projector, 0.1)
    original, moved = gaussians(0), gaussians(1)
    found = divergence(encoded(original), encoded(moved))["consistency"]
    cosines = torch.nn.functional.cosine_similarity(
        projector(moved.mean)[:, None], projector(original.mean)[None], dim=2
    )
    expected = torch.nn.functional.cross_entropy(cosines / 0.1, torch.arange(B), reduction="none")
    torch.testing.assert_close(found / 0.1, expected)
    assert set(dict(divergence.named_parameters())) == {"projector.weight", "projector.bias"}


def test_a_stopped_original_takes_no_gradient():
    original, moved = gaussians(0, requires_grad=True), gaussians(1, requires_grad=True)
    divergence = ContrastByKL(2.0, stop_gradient=True)
    divergence(encoded(original), encoded(moved))["consistency"].sum().backward()
    assert original.mean.grad is None
    assert moved.mean.grad.any()


def test_dimensions_left_out_change_nothing():
    original, moved = gaussians(0), gaussians(1)
    changed = DiagonalGaussian(moved.mean + torch.tensor([0.0, 0.0, 9.0]), moved.log_variance)
    divergence = ContrastByKL(2.0, dimensions=(0, 2))
    torch.testing.assert_close(
        divergence(encoded(original), encoded(moved))["consistency"],
        divergence(encoded(original), encoded(changed))["consistency"],
    )


def test_contrast_joins_the_objective_of_any_modality():
    model = point_vae()
    objective = ConsistencyRegularized(
        model, ELBO(0.5), Jitter(0.05, 0.1), weight=2.0, divergence=ContrastByKL(3.0)
    )
    x = clouds()
    terms = objective(x, Draws(keyed_generator("contrast"), len(x)))
    parts = [
        terms[f"{pass_}log_likelihood"] - 0.5 * terms[f"{pass_}kl"]
        for pass_ in ("", "transformed/")
    ]
    torch.testing.assert_close(terms["objective"], parts[0] + parts[1] - 2.0 * terms["consistency"])
    assert objective.compares_items


def test_an_auto_encoder_s_codes_are_contrasted_by_a_projector_alone():
    model = point_vae(posterior="code")
    transform = Jitter(0.05, 0.1)
    by_projector = ContrastByProjector(torch.nn.Linear(model.latent_dim, 2), 0.1)
    x = clouds()
    terms = ConsistencyRegularized(
        model, AutoEncoding(), transform, weight=1.0, divergence=by_projector
    )(x, Draws(keyed_generator("contrast"), len(x)))
    assert terms["consistency"].shape == (len(x),)
    with pytest.raises(ValueError, match="no posterior KL"):
        ConsistencyRegularized(
            model, AutoEncoding(), transform, weight=1.0, divergence=ContrastByKL(1.0)
        )


def test_a_log_likelihood_without_weight_decodes_nothing():
    model = image_vae()

    def no_decoder(latents):
        raise AssertionError("decoded")

    model.decoder.forward = no_decoder
    x = torch.rand(4, 1, 4, 4)
    draws = Draws(keyed_generator("contrast"), len(x))
    evaluation = ELBO(beta=0.1, weight=0.0)(model, model.posterior(x), x, draws)
    assert "log_likelihood" not in evaluation.terms
    torch.testing.assert_close(evaluation.objective, -0.1 * evaluation.terms["kl"])


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_that_is_not_positive_and_finite_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature"):
        ContrastByKL(temperature)


def test_a_batch_of_one_has_nothing_to_choose_from():
    with pytest.raises(ValueError, match="at least two items"):
        contrast(torch.zeros(1), torch.zeros(1, 1), 1.0)


def test_a_point_mass_has_no_kl():
    code = PointMass(torch.zeros(B, D))
    with pytest.raises(TypeError, match="no density"):
        ContrastByKL(1.0)(Encoded(code, (code.mean,)), Encoded(code, (code.mean,)))
