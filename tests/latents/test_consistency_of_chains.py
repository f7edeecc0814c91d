"""Consistency between hierarchical chains, on one path."""

import copy
import math
from pathlib import Path

import pytest
import torch

from helpers.toy_hierarchy import ToyHierarchy, draws
from pc_crvae.errors import UserError
from pc_crvae.latents.posteriors import gaussian_kl
from pc_crvae.objectives.base import SinglePass
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.divergences import KLDivergence
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.runs.folder import Run
from pc_crvae.runs.metrics import scalar_means
from pc_crvae.training.limits import require_finite


def images(count=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 1, 4, 4, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("direction", ["transformed_first", "original_first"])
def test_consistency_holds_both_posteriors_against_each_other_on_one_path(direction):
    model = ToyHierarchy().double()
    x = images()
    regularized = ConsistencyRegularized(
        model, ELBO(), lambda x, _: x.flip(-1), weight=2.0, divergence=KLDivergence(direction)
    )  # fmt: skip
    terms = regularized(x, draws(4))
    noise = draws(4)
    original, transformed = model.posterior(x), model.posterior(x.flip(-1))
    path, transformed_path = original.sample(noise), transformed.sample(noise)
    first, second, along = (
        (transformed, original, transformed_path)
        if direction == "transformed_first"
        else (original, transformed, path)
    )
    along = tuple(along)  # no memory
    expected = sum(
        gaussian_kl(mine, theirs).sum(dim=1)
        for mine, theirs in zip(first.conditionals(along), second.conditionals(along), strict=True)
    )
    torch.testing.assert_close(terms["consistency"], expected)
    torch.testing.assert_close(
        terms["objective"],
        terms["log_likelihood"] - terms["kl"]
        + terms["transformed/log_likelihood"] - terms["transformed/kl"] - 2 * expected,
    )  # fmt: skip


def test_with_the_gradient_stopped_the_original_posterior_gets_none_from_the_kl():
    model = ToyHierarchy().double()
    x = images()

    def gradients(stop):
        model.zero_grad()
        terms = ConsistencyRegularized(
            model,
            ELBO(),
            lambda x, _: x.flip(-1),
            weight=1.0,
            divergence=KLDivergence(stop_gradient=stop),
        )(x, draws(4))
        terms["consistency"].sum().backward()
        return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    stopped, free = gradients(True), gradients(False)
    by_hand_model = ToyHierarchy().double()
    noise = draws(4)
    anchor = copy.deepcopy(by_hand_model).requires_grad_(False)
    by_hand_model.posterior(x).sample(noise)
    chain = by_hand_model.posterior(x.flip(-1))
    path = chain.sample(noise)
    chain.kl(anchor.posterior(x), path).sum().backward()
    for name, gradient in stopped.items():
        torch.testing.assert_close(
            gradient, by_hand_model.get_parameter(name).grad, msg=lambda m, n=name: f"{n}: {m}"
        )
    assert any(not torch.allclose(stopped[name], free[name]) for name in stopped)


def test_a_consistency_kl_that_is_only_reported_leaves_the_model_as_it_would_be_without():
    x = images(8)
    states = []
    for transformed in (True, False):
        model = ToyHierarchy(batch_norm=True).double()
        noise = draws(8)
        if transformed:
            ConsistencyRegularized(model, ELBO(), lambda x, _: x.flip(-1), weight=0.0)(x, noise)
        else:
            ELBO()(model, model.posterior(x), x, noise)
            ELBO()(model, model.posterior(x.flip(-1)), x.flip(-1), noise)
        states.append(
            {name: value for name, value in model.state_dict().items() if "tracked" not in name}
        )
    torch.testing.assert_close(*states, rtol=0, atol=0)


def test_a_group_that_is_not_finite_stops_training_by_its_name():
    model = ToyHierarchy().double()
    with torch.no_grad():
        model.top_down.posteriors[1].bias[0] = math.nan
    x = images()
    terms = SinglePass(model, ELBO())(x, draws(4))
    means = {name: mean.item() for name, mean in scalar_means(terms).items()}
    with pytest.raises(UserError, match="the term kl/group 2 of 3 became nan at step 7"):
        require_finite(means, "at step 7", Run(Path("nowhere")), consistency_weight=1.0)
