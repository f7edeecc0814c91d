"""Noise shared between the passes of a step, whatever the model."""

import pytest
import torch

from helpers.toy_hierarchy import ToyHierarchy
from helpers.toy_models import image_vae
from pc_crvae.objectives.base import AutoEncoding
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.shared_noise import SharedNoise


def images(count=4):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 1, 4, 4, generator=generator)


def step(number, rows=None):
    return Draws(keyed_generator("step", number), 4, rows)


def noisy(x, draws):
    return x + draws.normal(1, 4, 4)


@pytest.mark.parametrize("make", [image_vae, ToyHierarchy])
def test_without_a_transform_both_passes_are_the_same(make):
    model = make()
    terms = ConsistencyRegularized(model, SharedNoise(ELBO()), lambda x, _: x, weight=1.0)(
        images(), step(0)
    )
    assert torch.equal(terms["log_likelihood"], terms["transformed/log_likelihood"])
    plain = ConsistencyRegularized(model, ELBO(), lambda x, _: x, weight=1.0)(images(), step(0))
    assert not torch.equal(plain["log_likelihood"], plain["transformed/log_likelihood"])


def test_steps_differ_and_a_step_is_the_same_again():
    model, objective = ToyHierarchy(), SharedNoise(ELBO())
    paths = [
        objective(model, model.posterior(images()), images(), step(number)).path
        for number in (0, 1, 0)
    ]
    assert not any(torch.equal(*pair) for pair in zip(paths[0], paths[1], strict=True))
    assert all(torch.equal(*pair) for pair in zip(paths[0], paths[2], strict=True))


def test_a_second_draw_within_an_evaluation_is_another():
    class Twice(ELBO):
        def __call__(self, model, posterior, target, draws, kl_warmup=1.0):
            self.samples = [posterior.sample(draws)[0] for _ in range(2)]
            return super().__call__(model, posterior, target, draws, kl_warmup)

    twice = Twice()
    model = image_vae()
    SharedNoise(twice)(model, model.posterior(images()), images(), step(0))
    assert not torch.equal(*twice.samples)


def test_the_transforms_noise_is_left_as_it_was():
    seen = {}

    def transform(name):
        def record(x, draws):
            seen[name] = noisy(x, draws)
            return seen[name]

        return record

    model = image_vae()
    for name, objective in (("plain", ELBO()), ("shared", SharedNoise(ELBO()))):
        ConsistencyRegularized(model, objective, transform(name), weight=0.0)(images(), step(0))
    assert torch.equal(seen["plain"], seen["shared"])


def test_two_processes_share_what_one_would():
    model, objective = ToyHierarchy().eval(), SharedNoise(ELBO())
    whole = objective(model, model.posterior(images()), images(), step(0))
    for rows in (slice(0, 3), slice(3, 4)):
        part = images()[rows]
        evaluation = objective(model, model.posterior(part), part, step(0, rows))
        torch.testing.assert_close(evaluation.objective, whole.objective[rows])


def test_whether_a_density_is_needed_is_the_objectives_own():
    assert SharedNoise(ELBO()).needs_density
    assert not SharedNoise(AutoEncoding()).needs_density
