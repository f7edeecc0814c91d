"""Contrast: the posterior of t(x_i) has to be nearer to that of x_i than to those of other items.

    contrast_i = K_ii + T logsumexp_j(-K_ij / T)

with K_ij a divergence between the transformed item i and the original item j, over all j of the
global batch, i included, and T a temperature in the unit of K. T times the cross-entropy of picking
the own item among all with probabilities softmax(-K_i. / T) is the same number (InfoNCE, van den
Oord et al. 2018, arXiv 1807.03748). For a large T it tends to K_ii less the mean of row i, up to
the constant T log B.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.latents.posteriors import (
    DiagonalGaussian,
    gaussian_kl,
    pairwise_gaussian_kl,
)
from pc_crvae.objectives.base import Terms
from pc_crvae.objectives.divergences import Divergence, Encoded
from pc_crvae.utils.collectives import gather_rows


def contrast(own: Tensor, divergences: Tensor, temperature: float, first: int = 0) -> Tensor:
    """Return the contrast of each row, at least 0 and in the unit of the divergences: (B,).

    Args:
        own: (B,) divergences from each item to its own partner; they stand in for the diagonal.
        divergences: (B, G) from each item to every item of the global batch.
        temperature: T, positive.
        first: the column that holds the partner of row 0.

    Raises:
        ValueError: fewer than two items to choose from.
    """
    batch, choices = divergences.shape
    if choices < 2:
        raise ValueError("contrast needs at least two items to choose from")
    rows = torch.arange(batch, device=divergences.device)
    divergences = divergences.index_put((rows, rows + first), own)
    # Differences first: they are 0 for the own item, and no large number is cancelled afterwards.
    return temperature * torch.logsumexp((own[:, None] - divergences) / temperature, dim=1)


class Contrast(Divergence):
    """`contrast` of posteriors over the global batch of a training step.

    In evaluation the batch at hand is all there is.

    Args:
        temperature: T, in the unit of the score.
        options: direction, stop_gradient and dimensions, see `Divergence`.

    Raises:
        ValueError: the temperature is not positive and finite.
    """

    compares_items = True

    def __init__(self, temperature: float, **options: Any) -> None:
        super().__init__(**options)
        if not 0 < temperature < float("inf"):
            raise ValueError(f"the temperature {temperature} must be positive and finite")
        self.temperature = temperature

    def _others(self, local: Tensor) -> tuple[Tensor, int]:
        """The rows to choose from, and which of them is the first of this process."""
        return gather_rows(local) if self.training else (local, 0)


class ContrastByKL(Contrast):
    """Contrast whose score is the KL between posteriors, in nats.

    Of a hierarchical posterior it takes the top group alone, which depends on no path: the pairs
    of whole chains would need a path each.
    """

    def between(self, first: Encoded, second: Encoded) -> Terms:
        """The contrast with K_ij = KL(first_i || second_j)."""
        mine, theirs = self._top(first), self._top(second)
        with torch.autocast(mine.mean.device.type, enabled=False):
            own = gaussian_kl(mine, theirs).sum(dim=1)
            others, start = self._others(torch.stack([theirs.mean, theirs.log_variance], dim=1))
            pairs = pairwise_gaussian_kl(mine, DiagonalGaussian(*others.unbind(dim=1)))
            return {"consistency": contrast(own, pairs, self.temperature, start)}

    def _top(self, encoded: Encoded) -> DiagonalGaussian:
        top = encoded.posterior.top(encoded.path)
        if not isinstance(top, DiagonalGaussian):
            raise ValueError(
                f"contrast by KL needs a Gaussian in the top group, not a {type(top).__name__}"
            )
        return DiagonalGaussian(top.mean[:, self.dimensions], top.log_variance[:, self.dimensions])


class ContrastByProjector(Contrast):
    """Contrast whose score is 1 less the cosine of projected posterior means.

    A small network projects the means, as in SimCLR (Chen et al. 2020, arXiv 2002.05709); it is
    trained with the model and is no part of it. Auto-encoders' codes are as good as means.

    Args:
        projector: (B, D) to (B, P), where D counts the ``dimensions``.
        temperature: T, between cosines.
        options: direction, stop_gradient and dimensions, see `Divergence`.
    """

    needs_density = False

    def __init__(self, projector: nn.Module, temperature: float, **options: Any) -> None:
        super().__init__(temperature, **options)
        self.projector = projector

    def between(self, first: Encoded, second: Encoded) -> Terms:
        """The contrast with K_ij = 1 - cos(projector(first_i), projector(second_j))."""
        mine, theirs = self._projected(first), self._projected(second)
        with torch.autocast(mine.device.type, enabled=False):
            others, start = self._others(theirs)
            own = 1 - (mine * theirs).sum(dim=1)
            return {"consistency": contrast(own, 1 - mine @ others.t(), self.temperature, start)}

    def _projected(self, encoded: Encoded) -> Tensor:
        projected: Tensor = self.projector(encoded.posterior.mean[:, self.dimensions])
        return F.normalize(projected.to(torch.promote_types(projected.dtype, torch.float32)), dim=1)
