"""The evidence lower bound: log-likelihood less beta times the KL to the prior.

Balancing keeps the latent groups of hierarchical models from falling silent while the KL warms up:
a group whose KL costs as much as any other is given up first where it says least. While the KL's
weight rises, each group's KL is therefore charged in proportion to what it says for each of its
dimensions (Vahdat et al. 2018, arXiv 1802.04920, appendix H; Vahdat & Kautz 2020, arXiv 2007.03898,
appendix A, where the division by the group's size is misprinted as a product):

    c_l = a_l / mean_m a_m,    a_l = (mean |KL_l| + 0.01) / D_l

NVAE's release divides by 4^i / n_i instead of D_l, with i the scale of group l, the top one 0, and
n_i how many groups the scale has. D_l is a multiple of 4^i, so the two agree where all scales have
as many groups, as for CIFAR-10's one scale of 30. Otherwise scales of many groups are charged more
(``release``). Of groups that say the same, by scale from the top:

    groups                  per_dimension       release
    5, 10 (MNIST)           2, 1/2              3/2, 3/4
    5, 10, 20 (CelebA 64)   4, 1, 1/4           7/3, 7/6, 7/12
"""

from typing import Literal

import torch
from torch import Tensor

from pc_crvae.latents.posteriors import LatentChain
from pc_crvae.objectives.base import Evaluation, LatentVariableModel, Objective
from pc_crvae.randomness.draws import Draws
from pc_crvae.utils.collectives import several_processes, sum_over_processes

Balancing = Literal["per_dimension", "release"]

_LEAST_KL = 0.01
"""Nats added to each group's KL: groups that say nothing still cost something, and if none does
their share is that of their size."""


class ELBO(Objective):
    """log p(x|z) - beta * KL(q(z|x) || p(z)), with the KL in closed form along one path.

    beta = 1 is the evidence lower bound of Kingma & Welling (2014), another beta that of
    Higgins et al. (2017).

    Args:
        beta: weight of the KL, per nat.
        free_bits: nats of each latent dimension of each sample that cost nothing: a
            dimension's KL counts as max(KL, free_bits), after Kingma et al. (2016), who
            average over the batch first; here it acts on a sample, so that no term depends
            on which samples share its batch. The reported KL is the true one.
        weight: weight of the log-likelihood. At 0 nothing is decoded, and the term -beta KL alone
            is left, which bounds the posterior's means and variances where consistency compares
            posteriors; with beta 0 as well, only the bound on log-variances does.
        balanced_groups: balance the KLs of latent groups as long as ``kl_warmup`` is below 1.
            After the warm-up, and for a single group, nothing changes. Reported KLs are the true
            ones. It does not go with ``free_bits``.
        balancing: names the coefficients, see `balancing_coefficients`.
    """

    def __init__(
        self,
        beta: float = 1.0,
        free_bits: float = 0.0,
        balanced_groups: bool = False,
        weight: float = 1.0,
        balancing: Balancing = "per_dimension",
    ) -> None:
        super().__init__()
        if min(beta, free_bits, weight) < 0:
            raise ValueError(
                f"beta {beta}, free_bits {free_bits} and weight {weight} must not be negative"
            )
        if free_bits and balanced_groups:
            raise ValueError("free_bits and balanced_groups do not go together")
        self.beta = beta
        self.weight = weight
        self.free_bits = free_bits
        self.balanced_groups = balanced_groups
        self.balancing = balancing

    def forward(
        self,
        model: LatentVariableModel,
        posterior: LatentChain,
        target: Tensor,
        draws: Draws,
        kl_warmup: float = 1.0,
    ) -> Evaluation:
        """Evaluate the bound at one sample of the posterior."""
        path = posterior.sample(draws)
        kl_per_dimension = posterior.kl(model.prior(), path)
        terms = posterior.by_group("kl", kl_per_dimension)
        if self.balanced_groups and terms and kl_warmup < 1:
            group_kls = torch.stack(list(terms.values()), dim=1)
            means = _mean_over_items(group_kls, over_processes=model.training)
            charged = group_kls @ balancing_coefficients(
                means, posterior.group_sizes, self.balancing
            )
        elif self.free_bits:
            charged = kl_per_dimension.clamp(min=self.free_bits).sum(dim=1)
        else:
            charged = kl_per_dimension.sum(dim=1)
        objective = -kl_warmup * self.beta * charged
        if self.weight > 0:
            terms["log_likelihood"] = model.likelihood(path).log_prob(target)
            objective = self.weight * terms["log_likelihood"] + objective
        kl = kl_per_dimension.sum(dim=1)
        return Evaluation(
            objective, {**terms, "kl": kl, "kl_per_dimension": kl_per_dimension}, path
        )


def balancing_coefficients(
    group_kls: Tensor, group_sizes: tuple[int, ...], balancing: Balancing = "per_dimension"
) -> Tensor:
    """Factors of the groups' KLs (L,), with a mean of 1 and no gradient.

    Args:
        group_kls: mean size of each group's KL over the batch, (L,) nats.
        group_sizes: latent dimensions of each group; those of one scale have one size.
        balancing: ``per_dimension``; ``release`` multiplies by how many groups the scale has.
    """
    divisors = [
        size / (group_sizes.count(size) if balancing == "release" else 1) for size in group_sizes
    ]
    by = torch.tensor(divisors, dtype=group_kls.dtype, device=group_kls.device)
    share = (group_kls.detach() + _LEAST_KL) / by
    return share / share.mean()


def _mean_over_items(group_kls: Tensor, *, over_processes: bool) -> Tensor:
    """Mean size of the KLs (B, L) over the batch, in training the global one."""
    sums = torch.cat(
        [group_kls.detach().abs().sum(dim=0), group_kls.new_full((1,), len(group_kls))]
    )
    if over_processes and several_processes():
        sums = sum_over_processes(sums)
    return sums[:-1] / sums[-1]
