"""Posterior and prior of a hierarchical model: chains made by one top-down network.

The top-down network holds a state. Each group's prior is read from the state, its posterior from
the state and from the encoder's features of x for that group, and its latent is combined into
the state, which the next group sees, or after the last one the decoder. Hence
p(z) = p(z_1) p(z_2|z_1) ..., q(z|x) = q(z_1|x) q(z_2|x, z_1) ..., and one pass along a path
gives both (Sonderby et al. 2016; Vahdat & Kautz 2020, arXiv 2007.03898).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pc_crvae.latents.posteriors import Conditional, DiagonalGaussian, LatentChain, LatentPath
from pc_crvae.randomness.draws import Draws

Choice = Callable[[int, Conditional], Tensor]
"""What a pass takes for a group's latent (B, D_l): a sample, a mean, or one given."""


def _mean_of(_: int, conditional: Conditional) -> Tensor:
    return conditional.mean


@dataclass(frozen=True, eq=False)
class TopDownPass:
    """One pass from the top group down.

    Attributes:
        path: the latents chosen.
        posteriors: the distribution each was chosen of; the priors, in a pass of the prior alone.
        priors: the prior of each group, given the groups before it.
        state: the state after the last group, or None where the pass stopped before it.
    """

    path: LatentPath
    posteriors: tuple[Conditional, ...]
    priors: tuple[DiagonalGaussian, ...]
    state: Tensor | None


class TopDown(nn.Module, ABC):
    """The network that both chains of a hierarchical model run."""

    @property
    @abstractmethod
    def group_sizes(self) -> tuple[int, ...]:
        """D_l of every group, the top one first."""

    @abstractmethod
    def start(self) -> Tensor:
        """The state before the first group: one row, the same for every item."""

    @abstractmethod
    def prior(self, group: int, state: Tensor) -> DiagonalGaussian:
        """p(z_l|z_<l), the groups before it being in ``state``."""

    @abstractmethod
    def posterior(
        self, group: int, state: Tensor, prior: DiagonalGaussian, encoder_features: Tensor
    ) -> Conditional:
        """q(z_l|x, z_<l), given what the encoder says about x for this group."""

    @abstractmethod
    def combine(self, group: int, state: Tensor, latent: Tensor) -> Tensor:
        """The state after z_l (B, D_l), as the next group or the decoder sees it."""

    def forward(
        self,
        encoder_features: Sequence[Tensor] | None,
        choose: Choice,
        *,
        groups: int | None = None,
        to_the_end: bool = True,
    ) -> TopDownPass:
        """Run from the top.

        Args:
            encoder_features: the encoder features of x, one tensor per group; None runs the prior
                alone.
            choose: the latent to go on with.
            groups: the number of groups to run, all by default.
            to_the_end: also combine the last group's latent, for the decoder.
        """
        count = len(self.group_sizes) if groups is None else groups
        state, path = self.start(), []
        posteriors: list[Conditional] = []
        priors: list[DiagonalGaussian] = []
        for group in range(count):
            prior = self.prior(group, state)
            conditional: Conditional = prior
            if encoder_features is not None:
                conditional = self.posterior(group, state, prior, encoder_features[group])
            latent = choose(group, conditional)
            if to_the_end or group < count - 1:
                state = self.combine(group, state, latent)
            priors.append(prior)
            posteriors.append(conditional)
            path.append(latent)
        return TopDownPass(
            tuple(path), tuple(posteriors), tuple(priors), state if to_the_end else None
        )


class RecordedPath(tuple[Tensor, ...]):
    """A path that remembers the pass it was drawn in.

    The KL to the prior and the decoder then need no second pass along it. Any tuple of the same
    latents means the same and is run anew. It holds for the weights it was drawn with: use it
    within a step.
    """

    record: TopDownPass
    network: TopDown
    chain: LatentChain | None
    was_training: bool
    has_gradient: bool

    @classmethod
    def of(cls, record: TopDownPass, chain: "_Chain") -> "RecordedPath":
        """The path of ``record``, drawn from ``chain``."""
        path = cls(record.path)
        path.record, path.network, path.chain = record, chain.network, chain
        path.was_training = chain.network.training
        path.has_gradient = torch.is_grad_enabled() and not chain.constant
        return path

    def stands_for_a_pass_of(self, network: TopDown) -> bool:
        """Whether ``network`` would compute now what is recorded, gradients included."""
        return (
            self.network is network
            and self.was_training == network.training
            and (self.has_gradient or not torch.is_grad_enabled())
        )


class _Chain(LatentChain):
    """What posterior and prior share: passes of the network, with its weights or constants."""

    def __init__(self, network: TopDown, *, constant: bool = False) -> None:
        self.network = network
        self.constant = constant

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """D_l of every group, the top one first."""
        return self.network.group_sizes

    def _run(
        self,
        encoder_features: Sequence[Tensor] | None,
        choose: Choice,
        *,
        records_statistics: bool = False,
        **options: Any,
    ) -> TopDownPass:
        """One pass, by the network's options; running statistics follow only where asked to."""
        keeping = nullcontext() if records_statistics else _keeping_statistics(self.network)
        with keeping:
            if not self.constant:
                record: TopDownPass = self.network(encoder_features, choose, **options)
                return record
            # Constants in place of the weights; a path may still be differentiated through.
            weights = {name: weight.detach() for name, weight in self.network.named_parameters()}
            record = functional_call(self.network, weights, (encoder_features, choose), options)
            return record

    def _run_along(self, path: LatentPath, features: Sequence[Tensor] | None) -> TopDownPass:
        sizes = tuple(latent.shape[-1] for latent in path)
        if sizes != self.group_sizes:
            raise ValueError(
                f"a path of groups of {sizes} dimensions does not belong to a chain of "
                f"groups of {self.group_sizes}"
            )
        return self._run(features, lambda group, _: path[group], to_the_end=False)


class HierarchicalPosterior(_Chain):
    """q(z|x) of a hierarchical model.

    Args:
        network: the top-down network.
        encoder_features: the encoder features of x, one tensor per group, items first.
        representation_groups: the number of groups, from the top, in the representation.
        constant: take part in no gradient but the path's; see `detach`.
    """

    def __init__(
        self,
        network: TopDown,
        encoder_features: Sequence[Tensor],
        *,
        representation_groups: int | None = None,
        constant: bool = False,
    ) -> None:
        super().__init__(network, constant=constant)
        self.encoder_features = tuple(encoder_features)
        self.representation_groups = representation_groups

    @property
    def mean(self) -> Tensor:
        """The representation: the groups' means side by side, each given the means before it.

        Of the uppermost ``representation_groups`` groups, which hold what is common to the
        whole image, or of all; not the mean of z, which has no closed form. Takes a pass.
        """
        groups = self.representation_groups
        record = self._run(self.encoder_features, _mean_of, groups=groups, to_the_end=False)
        return torch.cat(record.path, dim=1)

    def top(self, path: LatentPath = ()) -> Conditional:
        """q(z_1|x) of the top group: a pass of that group alone, unless ``path`` recorded it."""
        if (recorded := self._recorded(path)) is not None:
            return recorded.posteriors[0]
        record = self._run(self.encoder_features, _mean_of, groups=1, to_the_end=False)
        return record.posteriors[0]

    def mean_path(self) -> LatentPath:
        """The path of all groups' means, each given the means before it; nothing is drawn."""
        return RecordedPath.of(self._run(self.encoder_features, _mean_of), self)

    def sample(self, draws: Draws) -> LatentPath:
        """Draw a path from the top down; what the pass computed stays with it."""
        record = self._run(
            self.encoder_features,
            lambda _, conditional: conditional.sample(draws)[0],
            records_statistics=not self.constant,
        )
        return RecordedPath.of(record, self)

    def conditionals(self, path: LatentPath) -> tuple[Conditional, ...]:
        """q(z_l|x, z_<l) of every group along ``path``: a pass, unless it was drawn from here."""
        recorded = self._recorded(path)
        return (recorded or self._run_along(path, self.encoder_features)).posteriors

    def _recorded(self, path: LatentPath) -> TopDownPass | None:
        """The pass that ``path`` was drawn in, where it was drawn from here and still holds."""
        is_own = isinstance(path, RecordedPath) and path.chain is self
        return _recorded(path, self.network) if is_own else None

    def detach(self) -> Self:
        """The same distributions as constants: neither features nor weights take a gradient.

        A conditional still depends on the groups before it, so that a path it is asked along
        takes its gradient.
        """
        return type(self)(
            self.network,
            [features.detach() for features in self.encoder_features],
            representation_groups=self.representation_groups,
            constant=True,
        )


class HierarchicalPrior(_Chain):
    """p(z) of a hierarchical model: the same network without an encoder; the same for all items."""

    @property
    def mean(self) -> Tensor:
        """The groups' means side by side, each given the means before it: (1, D)."""
        record = self._run(None, _mean_of, to_the_end=False)
        return torch.cat(record.path, dim=1)

    def sample(self, draws: Draws) -> LatentPath:
        """Draw a path for each item of ``draws``, from the top down."""
        record = self._run(None, lambda _, conditional: conditional.sample(draws)[0])
        return RecordedPath.of(record, self)

    def conditionals(self, path: LatentPath) -> tuple[Conditional, ...]:
        """p(z_l|z_<l) of every group along ``path``: a pass, unless it was just drawn."""
        recorded = None if self.constant else _recorded(path, self.network)
        if recorded is not None and recorded.priors:
            return recorded.priors
        return self._run_along(path, None).posteriors

    def detach(self) -> Self:
        """The same distribution as a constant; a path it is asked along takes its gradient."""
        return type(self)(self.network, constant=True)


def stack_paths(paths: Sequence[LatentPath]) -> LatentPath:
    """Several paths of a network as one of all their items, one path's after another's.

    For decoding them together; where each remembers its pass, so does the whole what the decoder
    needs of it.
    """
    stacked = tuple(torch.cat(groups) for groups in zip(*paths, strict=True))
    recorded = [path for path in paths if isinstance(path, RecordedPath)]
    states = [path.record.state for path in recorded if path.record.state is not None]
    if len(states) < len(paths):
        return stacked
    first = recorded[0]
    whole = RecordedPath(stacked)
    whole.record = TopDownPass(stacked, (), (), torch.cat(states))
    whole.network, whole.chain, whole.was_training = first.network, None, first.was_training
    whole.has_gradient = all(path.has_gradient for path in recorded)
    return whole


def decoder_state(network: TopDown, path: LatentPath) -> Tensor:
    """The network's state after the last group of ``path``, by a pass unless just drawn."""
    recorded = _recorded(path, network)
    if recorded is not None and recorded.state is not None:
        return recorded.state
    with _keeping_statistics(network):
        record: TopDownPass = network(None, lambda group, _: path[group])
    assert record.state is not None
    return record.state


def _recorded(path: LatentPath, network: TopDown) -> TopDownPass | None:
    """The pass of ``network`` that ``path`` remembers and that another would repeat."""
    if isinstance(path, RecordedPath) and path.stands_for_a_pass_of(network):
        return path.record
    return None


@contextmanager
def _keeping_statistics(network: nn.Module) -> Iterator[None]:
    """Leave batch-norm's running statistics alone.

    They are those of x and t(x), each once. A further pass along a path that is another image's,
    or that is only reported, must not move them.
    """
    norms = [
        part for part in network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
