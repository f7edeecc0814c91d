"""KL balancing: coefficients by hand, the warm-up's end, and the true KLs in the report."""

import pytest
import torch

from helpers.toy_hierarchy import ToyHierarchy
from helpers.toy_models import image_vae
from pc_crvae.objectives.elbo import ELBO, balancing_coefficients
from pc_crvae.randomness.draws import Draws, keyed_generator


def draws(count=4):
    return Draws(keyed_generator("balancing"), count)


def images(count=4):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 1, 4, 4, generator=generator, dtype=torch.float64)


def test_the_coefficients_are_the_kls_for_each_dimension_with_a_mean_of_one():
    kls = torch.tensor([7.99, 0.99, 2.99], dtype=torch.float64)  # 8, 1 and 3 with what is added
    coefficients = balancing_coefficients(kls, (4, 1, 2))
    # 8/4, 1/1 and 3/2 for each dimension: 2, 1 and 1.5, of mean 1.5.
    torch.testing.assert_close(coefficients, torch.tensor([4 / 3, 2 / 3, 1.0], dtype=torch.float64))


def test_groups_that_say_the_same_for_each_dimension_are_left_alone():
    kls = torch.tensor([4.0, 1.0, 2.0]) - 0.01
    torch.testing.assert_close(balancing_coefficients(kls, (4, 1, 2)), torch.ones(3))
    # Where nothing says anything, by size, and finite.
    torch.testing.assert_close(
        balancing_coefficients(torch.zeros(2), (1, 3)), torch.tensor([1.5, 0.5])
    )


def test_coefficients_take_no_gradient():
    kls = torch.ones(2, requires_grad=True)
    assert not balancing_coefficients(kls, (1, 2)).requires_grad


def test_during_the_warm_up_each_groups_kl_is_charged_by_its_coefficient():
    model, x = ToyHierarchy().double(), images()
    evaluation = ELBO(2.0, balanced_groups=True)(
        model, model.posterior(x), x, draws(), kl_warmup=0.25
    )
    kls = torch.stack([evaluation.terms[f"kl/group {g} of 3"] for g in (1, 2, 3)], dim=1)
    shares = balancing_coefficients(kls.mean(dim=0), (2, 3, 2))
    assert (shares - 1).abs().max() > 0.1
    torch.testing.assert_close(
        evaluation.objective,
        evaluation.terms["log_likelihood"] - 0.25 * 2.0 * (kls * shares).sum(dim=1),
    )
    torch.testing.assert_close(evaluation.terms["kl"], kls.sum(dim=1))
    assert evaluation.terms["kl_per_dimension"].shape == (4, 7)


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_after_the_warm_up_it_is_the_elbo(beta):
    model, x = ToyHierarchy().double(), images()
    balanced = ELBO(beta, balanced_groups=True)(model, model.posterior(x), x, draws())
    plain = ELBO(beta)(model, model.posterior(x), x, draws())
    assert torch.equal(balanced.objective, plain.objective)
    assert all(torch.equal(balanced.terms[name], term) for name, term in plain.terms.items())


def test_with_a_single_group_it_is_the_elbo_at_any_time():
    model, x = image_vae(), images().float()
    balanced = ELBO(balanced_groups=True)(model, model.posterior(x), x, draws(), kl_warmup=0.3)
    plain = ELBO()(model, model.posterior(x), x, draws(), kl_warmup=0.3)
    assert torch.equal(balanced.objective, plain.objective)
    assert balanced.terms.keys() == plain.terms.keys()


def test_a_negative_beta_and_free_bits_are_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        ELBO(beta=-1, balanced_groups=True)
    with pytest.raises(ValueError, match="do not go together"):
        ELBO(free_bits=0.1, balanced_groups=True)


@pytest.mark.parametrize(
    ("groups", "per_dimension", "release"),
    [
        ((5, 10), (2, 1 / 2), (3 / 2, 3 / 4)),
        ((5, 10, 20), (4, 1, 1 / 4), (7 / 3, 7 / 6, 7 / 12)),
        ((30,), (1,), (1,)),
    ],
    ids=["mnist", "celeba64", "cifar10"],
)
def test_the_releases_coefficients_of_the_published_groups(groups, per_dimension, release):
    """It divides by 4^scale / groups of the scale, the least of them taken as 1."""
    sizes = tuple(20 * 16 * 4**scale for scale, count in enumerate(groups) for _ in range(count))
    by_hand = torch.tensor(
        [4**scale / count for scale, count in enumerate(groups) for _ in range(count)],
        dtype=torch.float64,
    )
    kls = torch.rand(len(sizes), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = (kls + 0.01) / (by_hand / by_hand.min()) * (kls + 0.01).sum()
    found = balancing_coefficients(kls, sizes, "release")
    torch.testing.assert_close(found, expected / expected.mean())
    equal = torch.ones_like(kls)
    for balancing, by_scale in (("per_dimension", per_dimension), ("release", release)):
        wanted = [
            share for share, count in zip(by_scale, groups, strict=True) for _ in range(count)
        ]
        found = balancing_coefficients(equal, sizes, balancing)
        torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))
