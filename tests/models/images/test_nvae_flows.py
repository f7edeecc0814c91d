"""Autoregressive flows: triangular, invertible with the right gradients, and densities."""

import copy
import math

import pytest
import torch

from helpers.nvae_sizes import TOY
from helpers.toy_models import rows_of
from pc_crvae.latents.posteriors import DiagonalGaussian
from pc_crvae.likelihoods import BernoulliLikelihood
from pc_crvae.models.images.nvae import NVAE
from pc_crvae.models.images.nvae.flows import AutoregressiveCell, Flow, FlowGaussian
from pc_crvae.objectives.consistency import ConsistencyRegularized
from pc_crvae.objectives.divergences import KLDivergence
from pc_crvae.objectives.elbo import ELBO
from pc_crvae.randomness.draws import Draws, keyed_generator

SHAPE = (2, 3, 2)
SIZE = math.prod(SHAPE)
CONTEXT = 3


def randomized(module, spread=0.5, seed=0):
    """Weights away from the identity that flows start at."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(spread * torch.randn(parameter.shape, generator=generator))
    return module.double()


def flow(shape=SHAPE, pairs=1, **options):
    return randomized(Flow(shape, CONTEXT, pairs=pairs), **options)


def context(rows=2, shape=SHAPE, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, CONTEXT, *shape[1:], generator=generator, dtype=torch.float64)


def latents(rows=2, size=SIZE, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, size, generator=generator, dtype=torch.float64)


def flow_gaussian(rows=2, seed=0, **options):
    base = DiagonalGaussian(latents(rows, seed=seed), latents(rows, seed=seed + 9) / 3)
    return FlowGaussian(base, flow(**options), context(rows, seed=seed))


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_cell_sees_only_what_comes_before(mirrored):
    cell = randomized(AutoregressiveCell(2, CONTEXT, mirrored=mirrored))
    prepared = cell.prepare(context(1))

    def order(tensor):  # rows, columns, then channels
        return tensor.view(1, *SHAPE).permute(0, 2, 3, 1).reshape(-1)

    def outputs(ordered):
        images = ordered.view(1, *SHAPE[1:], SHAPE[0]).permute(0, 3, 1, 2)
        return order(cell(images, prepared))

    jacobian = torch.autograd.functional.jacobian(outputs, order(latents(1)))
    unseen = torch.ones(SIZE, SIZE, dtype=torch.bool)
    unseen = torch.tril(unseen) if mirrored else torch.triu(unseen)
    assert (jacobian[unseen] == 0).all()
    neighbour = jacobian.diagonal(1 if mirrored else -1)
    assert (neighbour != 0).all()  # the one just before is seen


@pytest.mark.parametrize("pairs", [1, 2])
def test_flows_keep_volume(pairs):
    moving = flow(pairs=pairs)
    given = latents()
    for row in range(2):
        jacobian = torch.autograd.functional.jacobian(
            lambda z, row=row: moving(z[None], context()[row : row + 1])[0], given[row]
        )
        sign, log_determinant = torch.linalg.slogdet(jacobian)
        assert sign == 1
        assert abs(log_determinant) < 1e-8
        assert (jacobian - torch.eye(SIZE)).abs().max() > 0.1


@pytest.mark.parametrize("pairs", [1, 2])
@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_the_inverse_leads_back(pairs, spread):
    moving = flow(pairs=pairs, spread=spread)
    there = moving(latents(), context())
    back = moving(there, context(), inverse=True)
    torch.testing.assert_close(back, latents(), rtol=1e-8, atol=1e-8)
    assert (there - latents()).abs().max() > 0.1


def test_flows_start_as_the_identity():
    moving = Flow(SHAPE, CONTEXT, pairs=2).double()
    assert torch.equal(moving(latents(), context()), latents())


def test_the_gradients_of_the_inverse_are_right():
    shape = (2, 2, 1)
    moving = flow(shape, spread=0.3)
    cell = moving.cells[1]

    def back(given, features, *_):
        return moving(given, features, inverse=True)

    inputs = (
        latents(2, 4).requires_grad_(),
        context(2, shape).requires_grad_(),
        cell.context.bias,
        cell.last.weight,
        moving.cells[0].second.bias,
    )
    assert torch.autograd.gradcheck(back, inputs, check_undefined_grad=False)
    # The shift of a latent moves those after it: the gradient is not that of one step alone.
    given = latents(2, 4).requires_grad_()
    (exact,) = torch.autograd.grad(moving(given, context(2, shape), inverse=True).sum(), given)
    assert (exact - 1).abs().max() > 0.01


def test_the_density_integrates_to_one():
    shape = (2, 1, 1)
    grid = torch.linspace(-9, 9, 201, dtype=torch.float64)
    points = torch.cartesian_prod(grid, grid)
    base = DiagonalGaussian(latents(1, 2), latents(1, 2, seed=2) / 3)
    everywhere = context(1, shape).expand(len(points), -1, -1, -1)
    moved = FlowGaussian(base, flow(shape, spread=0.3), everywhere)
    with torch.no_grad():
        density = moved.log_prob(points).sum(dim=1).exp()
    assert (density.sum() * (grid[1] - grid[0]) ** 2).item() == pytest.approx(1, abs=1e-3)


def test_the_density_of_a_sample_is_the_same_found_either_way():
    moved = flow_gaussian()
    (sample,) = moved.sample(Draws(keyed_generator("flow"), 2))
    torch.testing.assert_close(moved.log_prob(sample), moved.log_prob(sample.clone()))
    another = latents(seed=5)
    assert torch.equal(moved.log_prob(another), flow_gaussian().log_prob(another))
    again = FlowGaussian(rows_of(moved.base, slice(1, 2)), moved.flow, moved.features[1:])
    torch.testing.assert_close(again.log_prob(sample[1:]), moved.log_prob(sample)[1:])
    torch.testing.assert_close(again.mean, moved.mean[1:])


def test_a_detached_flow_keeps_its_density_and_takes_no_gradient():
    moved = flow_gaussian()
    constant = moved.detach()
    sample = latents(seed=4).requires_grad_()
    torch.testing.assert_close(constant.log_prob(sample), moved.log_prob(sample))
    constant.log_prob(sample).sum().backward()
    assert all(parameter.grad is None for parameter in moved.flow.parameters())
    assert sample.grad is not None


def nvae(seed=0):
    torch.manual_seed(seed)
    config = TOY.model_copy(update={"flows": 1})
    model = NVAE(config, (1, 4, 4), 1, BernoulliLikelihood).double().eval()
    for index, group in enumerate(model.top_down.groups):
        randomized(group.flow, spread=0.3, seed=index)
    return model


def images(rows=4):
    generator = torch.Generator().manual_seed(3)
    return torch.bernoulli(torch.full((rows, 1, 4, 4), 0.4), generator=generator).double()


def test_a_kl_of_flow_groups_is_the_log_ratio_at_the_sample():
    model, x = nvae(), images()
    first, second = model.posterior(x), model.posterior(x.flip(-1))
    path = first.sample(Draws(keyed_generator("flow"), 4))
    log_ratio = torch.cat(
        [
            mine.log_prob(latent) - theirs.log_prob(latent)
            for mine, theirs, latent in zip(
                first.conditionals(tuple(path)), second.conditionals(path), path, strict=True
            )
        ],
        dim=1,
    )
    torch.testing.assert_close(first.kl(second, path), log_ratio)
    torch.testing.assert_close(
        first.kl(first, tuple(path)), torch.zeros_like(log_ratio), rtol=0, atol=1e-9
    )


def test_the_kl_of_flow_groups_is_positive_on_average():
    model, x = nvae(), images(1).expand(3000, -1, -1, -1)
    with torch.no_grad():
        first, second = model.posterior(x), model.posterior(x.flip(-1))
        path = first.sample(Draws(keyed_generator("flow"), 3000))
        kl = first.kl(second, path).sum(dim=1)
    assert kl.mean() > 4 * kl.std() / math.sqrt(3000)
    assert kl.min() < 0  # single samples may be negative


def test_a_detached_posterior_with_flows_passes_gradients_to_the_path_alone():
    model, x = nvae(), images()
    chain = model.posterior(x)
    path = tuple(
        latent.detach().requires_grad_()
        for latent in chain.sample(Draws(keyed_generator("flow"), 4))
    )
    constant = chain.detach()
    total = sum(
        conditional.log_prob(latent).sum()
        for conditional, latent in zip(constant.conditionals(path), path, strict=True)
    )
    total.backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(latent.grad is not None for latent in path)


def test_consistency_trains_flows_from_both_sides():
    model = nvae()
    other = copy.deepcopy(model)
    for candidate, stop in ((model, False), (other, True)):
        terms = ConsistencyRegularized(
            candidate,
            ELBO(),
            lambda x, _: x.flip(-1),
            weight=1.0,
            divergence=KLDivergence(stop_gradient=stop),
        )(images(), Draws(keyed_generator("flow"), 4))
        terms["consistency"].sum().backward()
        assert terms["consistency"].isfinite().all()
    gradients = [m.top_down.groups[1].flow.cells[0].last.weight.grad for m in (model, other)]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert not torch.allclose(*gradients)


def test_the_inverse_refuses_a_second_derivative_which_it_would_get_wrong():
    cells, noise = flow(), latents().requires_grad_()
    features = context()
    back = cells(noise, features, inverse=True).square().sum()
    with pytest.raises(NotImplementedError, match="has no second derivatives"):
        torch.autograd.grad(back, noise, create_graph=True)
    torch.autograd.grad(cells(noise, features).square().sum(), noise, create_graph=True)
