"""Batch normalisation over the last dimension, on request over all processes, on any device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pc_crvae.geometry import Moments
from pc_crvae.utils.collectives import several_processes, sum_over_processes
from pc_crvae.utils.differentiation import is_exported, is_transformed


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

    momentum: float | None
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
            NotImplementedError: in training, under `torch.func` or forward-mode derivatives.
        """
        if self.training:
            _refuse_transforms()
        if features.shape[-1] != self.num_features:
            raise ValueError(
                f"BatchNorm expects {self.num_features} features in the last dimension, "
                f"got shape {tuple(features.shape)}"
            )
        rows = features.reshape(-1, self.num_features)
        if self.training and self.synchronized and several_processes():
            precise = rows.to(torch.promote_types(rows.dtype, torch.float32))
            moments = Moments(precise.mean(0), precise.var(0, unbiased=False), len(rows))
            return self.normalize_by(precise, moments).to(rows.dtype).reshape(features.shape)
        return super().forward(rows).reshape(features.shape)

    def normalize_by(self, features: Tensor, moments: Moments) -> Tensor:
        """Normalise ``features`` (..., C) in training by moments known from elsewhere.

        For layers that keep fewer values than they normalise over, and know the moments of all.

        Args:
            features: float32 or float64, some of the batch's features or all.
            moments: the moments of all of the batch's rows in this process.

        Raises:
            ValueError: the moments are those of a single row.
            NotImplementedError: under `torch.func` or forward-mode derivatives.
        """
        _refuse_transforms()
        mean, variance, rows = moments
        correction: float | Tensor
        if self.synchronized and several_processes():
            mean, variance, total = _moments_over_processes(moments)
            correction = (total / (total - 1)).to(variance.dtype)
        elif rows > 1:
            correction = rows / (rows - 1)
        else:
            raise ValueError("batch-norm needs more than one row to train on")
        with torch.no_grad():
            unbiased = variance * correction
            self.num_batches_tracked.add_(1)
            share = self.momentum
            if share is None:  # the mean over all batches, as in torch
                share = 1 / int(self.num_batches_tracked)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
            self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias, features - mean, scale)


def batch_norms_of(module: nn.Module) -> list[_BatchNorm]:
    """The batch-norms within ``module``, ours and torch's."""
    return [part for part in module.modules() if isinstance(part, _BatchNorm)]


@contextmanager
def gathering_statistics(module: nn.Module) -> Iterator[None]:
    """Let the batch-norms of ``module`` gather their statistics anew, and nothing else train.

    Within, each normalises by the batch, and its running statistics are the mean of those of the
    batches since. One that sees no batch is left as initialised.
    """
    norms = batch_norms_of(module)
    before = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        yield
    finally:
        for norm, (training, momentum) in zip(norms, before, strict=True):
            norm.training, norm.momentum = training, momentum


def _moments_over_processes(moments: Moments) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of all processes' rows, and their number, float64 and on the device."""
    mean, variance, rows = moments
    totals = sum_over_processes(torch.cat([rows * mean, mean.new_full((1,), rows)]))
    total = totals[-1].detach()
    global_mean = totals[:-1] / total
    # Squares about the global mean: E[x^2] - E[x]^2 cancels where the mean is large.
    deviations = rows * (variance + (mean - global_mean).square())
    return global_mean, sum_over_processes(deviations) / total, total.double()


def _refuse_transforms() -> None:
    if is_transformed() and not is_exported():
        raise NotImplementedError(
            "batch-norm in training updates its running statistics, which torch.func and "
            "forward-mode derivatives cannot follow: call eval() first, or train without batch-norm"
        )
