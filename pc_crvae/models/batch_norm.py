"""Batch normalisation over the last dimension, on request over all processes, on any device."""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation (Ioffe & Szegedy, arXiv 1502.03167) of features that come last.

    Every dimension but the last counts as batch: ``(B, C)``, ``(B, N, C)`` and
    ``(B, N, k, C)`` are all normalised per feature, as ``nn.BatchNorm1d`` would normalise
    the rows.

    With ``synchronized`` set, in training, and with several processes running, mean and
    variance are those of the global batch, whatever share of the rows each process holds.
    Values, gradients and running statistics are then those of one process on all the rows.
    Unlike ``nn.SyncBatchNorm`` this works on the CPU.

    Args:
        features: size of the last dimension.
        synchronized: share the statistics of a training batch between processes; may be
            set on the module later.
    """

    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, features: int, *, synchronized: bool = False) -> None:
        if features < 1:
            raise ValueError(f"BatchNorm needs at least one feature, got {features}")
        super().__init__(features)
        self.synchronized = synchronized

    def forward(self, features: Tensor) -> Tensor:
        """Normalise ``features`` (..., C); statistics are never coarser than float32.

        Raises:
            ValueError: the last dimension is not the number of features, or a training
                batch has a single row.
        """
        if features.shape[-1] != self.num_features:
            raise ValueError(
                f"BatchNorm expects {self.num_features} features in the last dimension, "
                f"got shape {tuple(features.shape)}"
            )
        rows = features.reshape(-1, self.num_features)
        if self.training and self.synchronized and _several_processes():
            return self._normalize_globally(rows).reshape(features.shape)
        return super().forward(rows).reshape(features.shape)

    def _normalize_globally(self, rows: Tensor) -> Tensor:
        """Normalise the local ``rows`` (R, C) by the statistics of all processes' rows."""
        precise = rows.to(torch.promote_types(rows.dtype, torch.float32))
        local_count = precise.new_full((1,), precise.shape[0])
        totals = _sum_over_processes(torch.cat([precise.sum(0), local_count]))
        count = totals[-1]
        mean = totals[:-1] / count
        # Squares are summed about the global mean: E[x^2] - E[x]^2 cancels where the mean is large.
        centered = precise - mean
        squares = _sum_over_processes(centered.square().sum(0))
        self._update_running_statistics(mean.detach(), (squares / (count - 1)).detach())
        normalized = centered * torch.rsqrt(squares / count + self.eps)
        return torch.addcmul(self.bias, normalized, self.weight).to(rows.dtype)

    def _update_running_statistics(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(unbiased_variance.to(self.running_var.dtype), self.momentum)
        self.num_batches_tracked.add_(1)


def _several_processes() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


class _SumOverProcesses(torch.autograd.Function):
    """Sum a tensor over all processes; so is its gradient, as every process uses the sum."""

    @staticmethod
    def forward(ctx: FunctionCtx, local: Tensor) -> Tensor:
        total = local.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def _sum_over_processes(local: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(local)  # type: ignore[no-untyped-call]
    return total
