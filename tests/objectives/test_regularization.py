"""A penalty on the weights joins the objective in training, and only there."""

import torch

from helpers.toy_models import image_vae
from pc_crvae.models.vae import evaluating
from pc_crvae.objectives.base import SinglePass
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.objectives.regularization import Regularized
from pc_crvae.randomness.draws import Draws, keyed_generator


def draws():
    return Draws(keyed_generator("regularization"), 3)


def test_in_training_the_penalty_is_taken_off_every_items_objective():
    model = image_vae()
    plain = SinglePass(model, ELBO())
    x = torch.randn(3, 1, 4, 4)
    regularized = Regularized(plain, lambda: 0.1 * model.head.mean.weight.square().sum())
    terms, expected = regularized(x, draws(), 0.5), plain(x, draws(), 0.5)
    penalty = 0.1 * model.head.mean.weight.square().sum()
    torch.testing.assert_close(terms["objective"], expected["objective"] - penalty)
    assert torch.equal(terms["regularization"], penalty.expand(3))
    assert torch.equal(terms["kl"], expected["kl"])
    gradients = [
        torch.autograd.grad(-value.mean(), model.head.mean.weight)[0]
        for value in (terms["objective"], expected["objective"])
    ]
    torch.testing.assert_close(gradients[0], gradients[1] + 0.2 * model.head.mean.weight)


def test_in_evaluation_there_is_none():
    plain = SinglePass(image_vae(), ELBO())
    regularized = Regularized(plain, lambda: torch.ones(()))
    with evaluating(regularized):
        terms = regularized(torch.ones(3, 1, 4, 4), draws())
        expected = plain(torch.ones(3, 1, 4, 4), draws())
    torch.testing.assert_close(terms, expected, rtol=0, atol=0)


def test_its_state_is_that_of_the_model_saved_once():
    plain = SinglePass(image_vae(), ELBO())
    regularized = Regularized(plain, lambda: torch.ones(()))
    assert {name.removeprefix("objective.") for name in regularized.state_dict()} == set(
        plain.state_dict()
    )
