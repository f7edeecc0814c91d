"""Grey images are drawn black and white after the transform, in whatever objective."""

import pytest
import torch

from helpers.toy_models import image_vae
from pc_crvae.likelihoods import BernoulliLikelihood
from pc_crvae.models.vae import VAE, PosteriorHead
from pc_crvae.objectives.base import AutoEncoding, SinglePass, as_it_is
from pc_crvae.objectives.binarization import binarize
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.objectives.iwae import IWAE
from pc_crvae.randomness.draws import Draws, keyed_generator


def images(count=4):
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def draws(count=4, rows=None):
    return Draws(keyed_generator("binarization"), count, rows)


def darken(x, draws):
    return x * draws.uniform(1, 1, 1, low=0.1, high=0.9).to(x)


class Recording(torch.nn.Module):
    """An encoder that keeps what it was given."""

    def __init__(self):
        super().__init__()
        self.layer, self.seen = torch.nn.Linear(16, 8), []

    def forward(self, x):
        self.seen.append(x)
        return self.layer(x.flatten(1))


def bernoulli_vae():
    torch.manual_seed(0)
    decoder = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Unflatten(1, (1, 4, 4)))
    return VAE(Recording(), PosteriorHead(8, 3), decoder, BernoulliLikelihood, 3)


def consistent(model, transform=darken, objective=None, **options):
    options = {"observe": binarize, "weight": 2.0} | options
    return ConsistencyRegularized(model, objective or ELBO(), transform, **options)


def test_a_pixel_is_1_as_often_as_its_level_says():
    x = torch.tensor([0.0, 0.2, 0.9, 1.0]).expand(20000, 1, 2, 4)
    drawn = binarize(x, draws(20000))
    assert drawn.shape == x.shape
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    frequencies = drawn.mean(dim=(0, 1, 2))
    assert frequencies[0] == 0
    assert frequencies[3] == 1
    torch.testing.assert_close(frequencies, x[0, 0, 0], atol=0.01, rtol=0)


def test_drawn_pixels_are_independent_of_each_other():
    drawn = binarize(torch.full((20000, 1, 1, 3), 0.5), draws(20000))[:, 0, 0]
    correlations = torch.corrcoef(drawn.T) - torch.eye(3)
    assert correlations.abs().max() < 0.03


def test_black_and_white_images_stay_as_they_are():
    x = (images() > 0.5).float()
    assert torch.equal(binarize(x, draws()), x)


def test_parts_of_a_batch_are_drawn_like_the_whole():
    whole = binarize(images(), draws())
    for rows in (slice(0, 1), [3, 1]):
        assert torch.equal(binarize(images()[rows], draws(rows=rows)), whole[rows])


@pytest.mark.parametrize("target", ["transformed", "original"])
@pytest.mark.parametrize("objective", [ELBO(0.7), IWAE(3)])
def test_x_is_drawn_and_t_of_the_grey_x_is_drawn_and_the_rest_is_consistency(objective, target):
    model, x = bernoulli_vae(), images()
    terms = consistent(model, objective=objective, target=target)(x, draws())
    seen = model.encoder.seen.copy()

    source = draws()
    transformed = darken(x, source)
    pixels, transformed_pixels = binarize(x, source), binarize(transformed, source)
    drawn = consistent(
        model, lambda images, draws: transformed_pixels, objective, target=target, observe=as_it_is
    )
    expected = drawn(pixels, source)
    assert terms.keys() == expected.keys()
    for name, term in expected.items():
        assert torch.equal(terms[name], term), name
    assert torch.equal(torch.cat(seen), torch.cat([pixels, transformed_pixels]))
    assert set(torch.cat(seen).unique().tolist()) == {0.0, 1.0}


def test_without_a_transform_the_pixels_explained_are_the_pixels_encoded():
    model, x = bernoulli_vae(), images()
    terms = SinglePass(model, ELBO(), binarize)(x, draws())
    source = draws()
    pixels = binarize(x, source)
    expected = SinglePass(model, ELBO())(pixels, source)
    assert torch.equal(terms["objective"], expected["objective"])
    assert torch.equal(model.encoder.seen[0], pixels)


def test_black_and_white_images_without_a_transform_give_the_objective_itself():
    model, x = bernoulli_vae(), (images() > 0.5).float()
    whole = SinglePass(model, AutoEncoding(), binarize)
    source = draws()
    source.uniform(1, 4, 4)  # what binarising has drawn
    expected = SinglePass(model, AutoEncoding())(x, source)
    assert torch.equal(whole(x, draws())["objective"], expected["objective"])


def test_the_warm_ups_reach_what_is_within():
    model, x = bernoulli_vae(), images()
    objective = consistent(model)
    terms = objective(x, draws(), 0.25, 0.5)
    expected = (
        terms["log_likelihood"]
        + terms["transformed/log_likelihood"]
        - 0.25 * (terms["kl"] + terms["transformed/kl"])
        - 0.5 * 2.0 * terms["consistency"]
    )
    torch.testing.assert_close(terms["objective"], expected)


def test_it_is_one_module_whose_parameters_are_the_model_s():
    model = image_vae()
    objective = consistent(model)
    assert {id(p) for p in objective.parameters()} == {id(p) for p in model.parameters()}
    objective(images(), draws())["objective"].sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_an_item_s_terms_depend_on_itself_alone():
    model, x = bernoulli_vae(), images()
    objective = consistent(model)
    whole = objective(x, draws())
    for rows in (slice(0, 2), slice(3, 4)):
        part = objective(x[rows], draws(rows=rows))
        for name, term in whole.items():
            torch.testing.assert_close(part[name], term[rows])


def test_what_the_objective_within_refuses_is_refused_at_once():
    model = image_vae()
    with pytest.raises(ValueError, match="auto-encoder has no posterior KL"):
        consistent(model, objective=AutoEncoding())
