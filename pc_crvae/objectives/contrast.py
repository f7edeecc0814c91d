"""Contrast: the posterior of t(x_i) has to be nearer to that of x_i than to those of other items.

    contrast_i = K_ii + T logsumexp_j(-K_ij / T)

with K_ij a divergence between the transformed item i and the original item j, over all j of the
global batch, i included, and T a temperature in the unit of K. T times the cross-entropy of picking
the own item among all with probabilities softmax(-K_i. / T) is the same number (InfoNCE, van den
Oord et al. 2018, arXiv 1807.03748). For a large T it tends to K_ii less the mean of row i, up to the
constant T log B.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable


def contrast(own: Tensor, divergences: Tensor, temperature: float, first: int = 0) -> Tensor:
    """Return the contrast of each row, at least 0 and in the unit of the divergences: (B,).

    Args:
        own: (B,) divergences from each item to its own partner; they stand in for the diagonal.
        divergences: (B, G) from each item to every item of the global batch.
        temperature: T, positive.
        first: the column that holds the partner of row 0.

    Raises:
        ValueError: fewer than two items to choose from, or a temperature that is not positive.
    """
    batch, choices = divergences.shape
    if choices < 2:
        raise ValueError("contrast needs at least two items to choose from")
    if not 0 < temperature < float("inf"):
        raise ValueError(f"the temperature {temperature} must be positive and finite")
    rows = torch.arange(batch, device=divergences.device)
    divergences = divergences.index_put((rows, rows + first), own)
    # Differences first: they are 0 for the own item, and no large number is cancelled afterwards.
    return temperature * torch.logsumexp((own[:, None] - divergences) / temperature, dim=1)


def gather_rows(local: Tensor) -> tuple[Tensor, int]:
    """Return the rows of all processes, with gradients, and where those of this process begin.

    Every process must hold as many rows.
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return local, 0
    gathered: Tensor = _GatherRows.apply(local)  # type: ignore[no-untyped-call]
    return gathered, dist.get_rank() * len(local)


class _GatherRows(torch.autograd.Function):
    """All processes' rows, one process after another.

    Each process uses all rows in terms of its own, so the gradient of a row is the sum over the
    processes.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, local: Tensor) -> Tensor:
        parts = [torch.empty_like(local) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, local.contiguous())
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]
