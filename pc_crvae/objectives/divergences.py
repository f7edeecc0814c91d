"""How far the posterior of t(x) lies from that of x, one number per item."""

from abc import ABC, abstractmethod
from typing import Literal, NamedTuple, get_args

from torch import Tensor, nn

from pc_crvae.latents.posteriors import LatentChain, LatentPath
from pc_crvae.objectives.base import Terms

Direction = Literal["transformed_first", "original_first", "both"]


class Encoded(NamedTuple):
    """A posterior, and the sample of it at which its objective was evaluated."""

    posterior: LatentChain
    path: LatentPath

    def detach(self) -> "Encoded":
        """The same as constants."""
        return Encoded(self.posterior.detach(), tuple(latent.detach() for latent in self.path))


class Divergence(nn.Module, ABC):
    """D(q(z|t(x)), q(z|x)) of a batch: what consistency regularisation charges.

    It may compare items with each other and own weights, which are then trained.

    Args:
        direction: the order of its arguments; ``transformed_first`` is D(q(z|t(x)), q(z|x)),
            ``both`` the mean of both orders.
        stop_gradient: whether q(z|x) is held fixed.
        dimensions: (start, stop) of the latent dimensions it acts on, all by default.
    """

    needs_density: bool = True
    """Whether the posteriors must be distributions, rather than an auto-encoder's codes."""

    compares_items: bool = False
    """Whether the number of an item depends on the other items of the batch."""

    def __init__(
        self,
        direction: Direction = "transformed_first",
        stop_gradient: bool = False,
        dimensions: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        if direction not in get_args(Direction):
            raise ValueError(f"unknown direction {direction!r}")
        self.direction = direction
        self.stop_gradient = stop_gradient
        self.dimensions = slice(*dimensions) if dimensions else slice(None)

    def forward(self, original: Encoded, transformed: Encoded) -> Terms:
        """Return the term ``consistency`` (B,), which is charged, and its parts if it has any."""
        if self.stop_gradient:
            original = original.detach()
        if self.direction == "transformed_first":
            return self.between(transformed, original)
        reversed_order = self.between(original, transformed)
        if self.direction == "original_first":
            return reversed_order
        return {
            name: (term + reversed_order[name]) / 2
            for name, term in self.between(transformed, original).items()
        }

    @abstractmethod
    def between(self, first: Encoded, second: Encoded) -> Terms:
        """The terms of D(first, second)."""


class KLDivergence(Divergence):
    """The KL of Sinha & Dieng (2021), in nats: of each item by itself.

    Of hierarchical posteriors it is that of the chains, both along the path of the first.
    """

    def between(self, first: Encoded, second: Encoded) -> Terms:
        """KL(first || second), beside one part for each latent group if there are several."""
        divergence: Tensor = first.posterior.kl(second.posterior, first.path)  # (B, D)
        parts = first.posterior.by_group("consistency", divergence)
        return {**parts, "consistency": divergence[:, self.dimensions].sum(dim=1)}
