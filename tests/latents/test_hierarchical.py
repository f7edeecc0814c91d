"""Hierarchical chains: their KLs, what a path remembers, and what it costs."""

import copy
import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from helpers.toy_hierarchy import STATE, ToyTopDown, draws
from helpers.toy_models import rows_of
from pc_crvae.latents.hierarchical import (
    HierarchicalPosterior,
    HierarchicalPrior,
    decoder_state,
    stack_paths,
)
from pc_crvae.randomness.draws import Draws, keyed_generator

SIZES = (2, 3, 2)


def network(sizes=SIZES, seed=0, **options):
    torch.manual_seed(seed)
    return ToyTopDown(sizes, **options).double()


def encoder_features(rows, seed=0, groups=3):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(rows, STATE, generator=generator, dtype=torch.float64) for _ in range(groups)
    ]


def posterior(top_down, rows=2, seed=0, **options):
    groups = len(top_down.group_sizes)
    return HierarchicalPosterior(top_down, encoder_features(rows, seed, groups), **options)


def log_density(chain, path):
    return sum(
        Independent(Normal(part.mean, part.standard_deviation), 1).log_prob(latent)
        for part, latent in zip(chain.conditionals(path), path, strict=True)
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("second", ["prior", "another posterior"])
def test_the_kl_averages_to_the_monte_carlo_estimate(seed, second):
    count, top_down = 40_000, network(seed=seed)
    repeated = torch.zeros(count, dtype=torch.long)
    first = rows_of(posterior(top_down, 1, seed), repeated)
    other = (
        HierarchicalPrior(top_down)
        if second == "prior"
        else rows_of(posterior(top_down, 1, seed + 1), repeated)
    )
    with torch.no_grad():
        path = first.sample(draws(count, "monte carlo"))
        chain_rule = first.kl(other, path).sum(dim=1)
        estimate = log_density(first, path) - log_density(other, path)
    error = (estimate - chain_rule).std() / math.sqrt(count)
    assert (estimate.mean() - chain_rule.mean()).abs() < 4 * error
    assert error < 0.03 * chain_rule.mean()
    assert chain_rule.std() > 1e-3 * chain_rule.mean()  # later groups do depend on earlier ones


def test_one_group_has_the_flat_kl_whatever_the_path():
    top_down = network((3,))
    first, second = posterior(top_down), posterior(top_down, seed=1)
    (mine,), (theirs,) = (
        first.conditionals((torch.zeros(2, 3),)),
        second.conditionals((torch.ones(2, 3),)),
    )
    flat = kl_divergence(
        Normal(mine.mean, mine.standard_deviation), Normal(theirs.mean, theirs.standard_deviation)
    )
    to_prior = kl_divergence(
        Normal(mine.mean, mine.standard_deviation),
        Normal(torch.zeros(3).double(), torch.ones(3).double()),
    )
    for seed in range(3):
        path = first.sample(draws(2, seed))
        torch.testing.assert_close(first.kl(second, path), flat)
        torch.testing.assert_close(first.kl(HierarchicalPrior(top_down), path), to_prior)


def test_the_kl_of_a_posterior_to_itself_is_zero_along_a_path_of_another():
    top_down = network()
    first = posterior(top_down)
    path = posterior(top_down, seed=5).sample(draws(2))
    assert torch.equal(first.kl(first, path), torch.zeros(2, sum(SIZES)).double())


def test_a_drawn_path_needs_no_second_pass_for_kl_and_decoder():
    top_down = network()
    first = posterior(top_down)
    path = first.sample(draws(2))
    assert top_down.combined == len(SIZES)
    first.kl(HierarchicalPrior(top_down), path)
    decoder_state(top_down, path)
    assert top_down.combined == len(SIZES)
    posterior(top_down, seed=1).conditionals(path)  # of another image: along the path anew
    assert top_down.combined == 2 * len(SIZES) - 1


def test_paths_are_stacked_with_what_they_remember_for_the_decoder():
    top_down = network(batch_norm=True).eval()
    first, noise = posterior(top_down), draws(2)
    paths = [first.sample(noise) for _ in range(3)]
    before = top_down.combined
    stacked = stack_paths(paths)
    state = decoder_state(top_down, stacked)
    assert top_down.combined == before
    torch.testing.assert_close(state, decoder_state(top_down, tuple(stacked)))
    prior = HierarchicalPrior(top_down)
    torch.testing.assert_close(
        prior.conditionals(stacked)[2].mean,
        torch.cat([prior.conditionals(path)[2].mean for path in paths]),
    )
    # With one that remembers nothing, they are run anew.
    before = top_down.combined
    stacked = stack_paths([paths[0], tuple(paths[1])])
    torch.testing.assert_close(
        decoder_state(top_down, stacked), decoder_state(top_down, tuple(stacked))
    )
    assert top_down.combined == before + 6


def test_what_a_path_remembers_is_what_a_pass_along_it_computes():
    top_down = network()
    first, prior = posterior(top_down), HierarchicalPrior(top_down)
    path = first.sample(draws(2))
    plain = tuple(path)
    results = []
    for along in (path, plain):
        kl = first.kl(prior, along)
        state = decoder_state(top_down, along)
        value = (kl * torch.arange(1, 8)).sum() + (state * torch.arange(1, 5)).sum()
        gradients = torch.autograd.grad(
            value, list(top_down.parameters()), retain_graph=True, allow_unused=True
        )
        results.append([kl, state, *(g for g in gradients if g is not None)])
    assert len(results[0]) > 10
    for remembered, computed in zip(*results, strict=True):
        torch.testing.assert_close(remembered, computed)


def test_a_path_drawn_otherwise_is_run_anew():
    top_down = network(batch_norm=True)
    first, prior = posterior(top_down, 8), HierarchicalPrior(top_down)
    with torch.no_grad():
        path = first.sample(draws(8))
    assert first.kl(prior, path).requires_grad  # drawn without a gradient
    path = first.sample(draws(8))
    top_down.eval()
    assert not torch.equal(path.record.state, decoder_state(top_down, path))  # another mode
    top_down.train()
    other = copy.deepcopy(top_down)
    before = other.combined
    HierarchicalPrior(other).conditionals(path)  # another network's weights
    assert other.combined > before
    constant = first.detach().sample(draws(8))
    assert prior.conditionals(constant)[1].mean.requires_grad  # a constant's record has none


@pytest.mark.parametrize("part", ["encoder_features", "weights"])
def test_the_gradients_of_sample_kl_and_state_are_right(part):
    top_down = network((2, 1))
    given = encoder_features(2, groups=2)

    def value(*_):
        first = HierarchicalPosterior(top_down, given)
        second = HierarchicalPosterior(top_down, [e + 1 for e in given])
        path = first.sample(draws(2))
        return (
            first.kl(HierarchicalPrior(top_down), path),
            first.kl(second, path),
            decoder_state(top_down, path),
        )

    inputs = tuple(given) if part == "encoder_features" else tuple(top_down.parameters())
    for tensor in inputs:
        tensor.requires_grad_()
    # Some weights do not matter: the top group's prior is N(0, I).
    assert torch.autograd.gradcheck(value, inputs)


def test_a_detached_posterior_is_the_same_and_only_its_path_takes_a_gradient():
    top_down = network()
    given = [e.requires_grad_() for e in encoder_features(2)]
    chain = HierarchicalPosterior(top_down, given)
    constant = chain.detach()
    path = tuple(latent.detach().requires_grad_() for latent in chain.sample(draws(2)))
    for mine, theirs in zip(chain.conditionals(path), constant.conditionals(path), strict=True):
        torch.testing.assert_close(mine.mean, theirs.mean)
        torch.testing.assert_close(mine.log_variance, theirs.log_variance)
    constant.conditionals(path)[-1].mean.sum().backward()
    assert all(tensor.grad is None for tensor in (*given, *top_down.parameters()))
    assert path[0].grad.abs().sum() > 0
    assert not any(latent.requires_grad for latent in constant.sample(draws(2)))
    prior = HierarchicalPrior(top_down).detach()
    assert all(
        not p.mean.requires_grad for p in prior.conditionals(tuple(p.detach() for p in path))
    )


def test_rows_are_the_chains_of_some_items():
    top_down = network()
    whole = posterior(top_down, 4)
    path = whole.sample(draws(4))
    halves = [
        rows_of(whole, rows).sample(Draws(keyed_generator("hierarchical"), 4, rows))
        for rows in (slice(0, 1), slice(1, 4))
    ]
    for latents in zip(path, *halves, strict=True):
        torch.testing.assert_close(latents[0], torch.cat(latents[1:]))
    second = posterior(top_down, 4, seed=1)
    part = slice(1, 3)
    torch.testing.assert_close(
        rows_of(whole, part).kl(rows_of(second, part), tuple(z[part] for z in path)),
        whole.kl(second, path)[part],
    )


def test_the_representation_is_the_groups_means_along_the_mean_path():
    top_down = network()
    chain = posterior(top_down)
    path: tuple = (torch.zeros(2, 2), torch.zeros(2, 3), torch.zeros(2, 2))
    for group in range(3):
        path = tuple(
            chain.conditionals(path)[index].mean if index == group else latent
            for index, latent in enumerate(path)
        )
    torch.testing.assert_close(chain.mean, torch.cat(path, dim=1))
    top = posterior(top_down, representation_groups=2)
    torch.testing.assert_close(top.mean, torch.cat(path[:2], dim=1))
    torch.testing.assert_close(rows_of(top, slice(1, 2)).mean, torch.cat(path[:2], dim=1)[1:])
    assert HierarchicalPrior(top_down).mean.shape == (1, 7)


def test_the_top_group_s_posterior_is_that_of_any_path():
    top_down = network()
    chain = posterior(top_down)
    before = top_down.combined
    top = chain.top()
    assert top_down.combined == before
    for seed in range(2):
        conditional = chain.conditionals(chain.sample(draws(2, seed)))[0]
        assert torch.equal(top.mean, conditional.mean)
        assert torch.equal(top.log_variance, conditional.log_variance)


def test_the_mean_path_is_of_all_groups_and_remembers_its_pass():
    top_down = network(batch_norm=True)
    chain = posterior(top_down, representation_groups=1)
    statistics = [norm.running_mean.clone() for norm in top_down.norms]
    path = chain.mean_path()
    torch.testing.assert_close(torch.cat(path, dim=1), posterior(top_down).mean)
    assert all(map(torch.equal, [norm.running_mean for norm in top_down.norms], statistics))
    before = top_down.combined
    state = decoder_state(top_down, path)
    assert top_down.combined == before
    torch.testing.assert_close(state, decoder_state(top_down, tuple(path)))
    for mine, theirs in zip(chain.conditionals(path), chain.conditionals(tuple(path)), strict=True):
        torch.testing.assert_close(mine.mean, theirs.mean)


def test_the_prior_draws_a_path_for_every_item():
    top_down = network()
    path = HierarchicalPrior(top_down).sample(draws(1000))
    assert [latent.shape for latent in path] == [(1000, 2), (1000, 3), (1000, 2)]
    assert (path[0].mean(0).abs() < 0.15).all()
    assert ((path[0].std(0) - 1).abs() < 0.1).all()
    prior = HierarchicalPrior(top_down)
    z_2 = path[1]
    conditional = prior.conditionals(path)[1]
    standard = (z_2 - conditional.mean) / conditional.standard_deviation
    assert ((standard.std(0) - 1).abs() < 0.1).all()


def test_a_kl_splits_into_one_number_a_group():
    top_down = network()
    chain = posterior(top_down)
    per_dimension = torch.arange(14.0).view(2, 7)
    assert {name: kl.tolist() for name, kl in chain.by_group("kl", per_dimension).items()} == {
        "kl/group 1 of 3": [1.0, 15.0],
        "kl/group 2 of 3": [9.0, 30.0],
        "kl/group 3 of 3": [11.0, 25.0],
    }
    assert posterior(network((3,))).by_group("kl", per_dimension[:, :3]) == {}


def test_only_a_sample_moves_batch_norms_statistics():
    top_down = network(batch_norm=True)
    first, second = posterior(top_down, 8), posterior(top_down, 8, seed=1)

    def statistics():
        return [b.clone() for name, b in top_down.named_buffers() if "running" in name]

    before = statistics()
    path = first.sample(draws(8))
    moved = statistics()
    assert not any(torch.equal(*pair) for pair in zip(before, moved, strict=True))
    first.kl(HierarchicalPrior(top_down), path)
    first.kl(second, path)
    decoder_state(top_down, tuple(path))
    _ = first.mean
    assert all(torch.equal(*pair) for pair in zip(moved, statistics(), strict=True))
    assert all(norm.momentum == 0.1 for norm in top_down.norms)


def test_the_top_group_of_a_path_that_was_drawn_from_here_takes_no_pass():
    top_down = network(batch_norm=True).train()
    chain = posterior(top_down)
    path = chain.sample(draws(2))
    statistics = [norm.running_mean.clone() for norm in top_down.norms]
    before = top_down.combined
    top = chain.top(path)
    assert top_down.combined == before
    assert all(map(torch.equal, [norm.running_mean for norm in top_down.norms], statistics))
    assert torch.equal(top.mean, chain.conditionals(path)[0].mean)
    assert torch.equal(top.mean, chain.top(tuple(path)).mean)


def test_a_path_of_other_groups_is_refused():
    with pytest.raises(ValueError, match=r"groups of \(2, 3\) dimensions .* \(2, 3, 2\)"):
        posterior(network()).conditionals((torch.zeros(2, 2), torch.zeros(2, 3)))
