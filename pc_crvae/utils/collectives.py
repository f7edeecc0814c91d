"""Sums and gathers over the processes of a training, differentiable as often as one likes."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def several_processes() -> bool:
    """Whether a group of more than one process is at work."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def sum_over_processes(local: Tensor) -> Tensor:
    """The sum of all processes' ``local``; so is its gradient, as every process uses the sum."""
    total: Tensor = _SumOverProcesses.apply(local)  # type: ignore[no-untyped-call]
    return total


def gather_rows(local: Tensor) -> tuple[Tensor, int]:
    """Return the rows of all processes, with gradients, and where those of this process begin.

    Every process must hold as many rows.
    """
    if not several_processes():
        return local, 0
    rank = dist.get_rank()
    rows = local.new_zeros(dist.get_world_size(), *local.shape)
    rows[rank] = local
    # A sum with zeros changes no row.
    return sum_over_processes(rows).flatten(0, 1), rank * len(local)


class _SumOverProcesses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, local: Tensor) -> Tensor:
        total = local.contiguous().clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient)
