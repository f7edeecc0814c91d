"""What a point's neighbours say: extremes and sums over them, and moments over a graph's edges."""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pc_crvae.geometry.kernels import kernels_for
from pc_crvae.geometry.kernels.operations import EdgeTerms


class NeighborPool(NamedTuple):
    """Features pooled over each point's neighbours.

    Attributes:
        extreme: (B, N, C), the maximum, or the minimum where that was asked for.
        sum: (B, N, C), over the neighbours; None where it was not asked for.
    """

    extreme: Tensor
    sum: Tensor | None


def pool_neighbors(
    features: Tensor, indices: Tensor, largest: Tensor | None = None, *, with_sum: bool = True
) -> NeighborPool:
    """Pool the features of each point's neighbours, without a copy for every edge.

    Args:
        features: (B, M, C), any floating dtype; below float32 it is pooled in float32.
        indices: (B, N, k) int64 in [0, M), the neighbours of each of N points.
        largest: (C,) bool, whether a channel's maximum is taken or its minimum; None: maximum.
        with_sum: also sum over the neighbours.

    Returns:
        Extreme and sum. A NaN among the neighbours is their extreme; the gradient of an extreme
        goes to one neighbour that has it.

    Raises:
        ValueError: shapes other than those above, or no neighbour.
        IndexError: on the CPU, an index outside [0, M); CUDA kernels trust them.
    """
    if features.dim() != 3 or indices.dim() != 3 or len(features) != len(indices):
        raise ValueError(
            "pool_neighbors takes features (B, M, C) and indices (B, N, k), not "
            f"{tuple(features.shape)} and {tuple(indices.shape)}"
        )
    if largest is not None and largest.shape != features.shape[2:]:
        raise ValueError(
            f"largest must be ({features.shape[2]},), one a channel, not {tuple(largest.shape)}"
        )
    if indices.shape[2] == 0:
        raise ValueError("pool_neighbors needs at least one neighbour a point")
    if indices.device.type == "cpu" and indices.numel():  # elsewhere it would stall the queue
        lowest, highest = (int(bound) for bound in indices.aminmax())
        if lowest < 0 or highest >= features.shape[1]:
            raise IndexError(
                f"neighbours {lowest} to {highest} are not all among {features.shape[1]} points"
            )
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    extreme, total = _PoolNeighbors.apply(  # type: ignore[no-untyped-call]
        features, indices, extreme_signs(largest, features), with_sum
    )
    return NeighborPool(extreme, total if with_sum else None)


def extreme_signs(largest: Tensor | None, like: Tensor) -> Tensor:
    """(C,) 1 where the largest value counts and -1 elsewhere, for ``like`` (..., C)."""
    signs = like.new_ones(like.shape[-1])
    return signs if largest is None else torch.where(largest, signs, -signs)


class _PoolNeighbors(torch.autograd.Function):
    """The gather of :func:`pool_neighbors`; its gradient keeps one index a value."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, indices: Tensor, signs: Tensor, with_sum: bool
    ) -> tuple[Tensor, Tensor]:
        kernels = kernels_for(features.device)
        extreme, argument, total = kernels.pool_neighbors(
            features, indices, signs, with_sum=with_sum
        )
        ctx.save_for_backward(argument, indices)
        ctx.n_points, ctx.with_sum, ctx.kernels = features.shape[1], with_sum, kernels
        if not with_sum:
            ctx.mark_non_differentiable(total)
        return extreme, total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, extreme_gradient: Tensor, sum_gradient: Tensor) -> tuple[Any, ...]:
        argument, indices = ctx.saved_tensors
        gradient = ctx.kernels.unpool_neighbors(
            extreme_gradient,
            argument,
            sum_gradient if ctx.with_sum else None,
            indices,
            ctx.n_points,
        )
        return gradient, None, None, None


class Moments(NamedTuple):
    """Moments of many rows, feature by feature.

    Attributes:
        mean: (C,).
        variance: (C,), the mean squared deviation.
        rows: how many rows.
    """

    mean: Tensor
    variance: Tensor
    rows: int


def edge_moments(
    neighbor_terms: Tensor, center_terms: Tensor, sums: Tensor, indices: Tensor
) -> Moments:
    """Moments of u_j + v_i over all edges (i, j), from sums over points.

    With S_i the sum of u over the k neighbours of i and d_j how often j is a neighbour, and both
    u and v taken about their means over the edges,

        sum over edges (u_j + v_i)^2 = sum_j d_j u_j^2 + sum_i v_i (2 S_i + k v_i).

    The terms may nearly cancel, so they are added up in float64.

    Args:
        neighbor_terms: u, (B, N, C) float32 or float64.
        center_terms: v, (B, N, C), of the same dtype.
        sums: S, (B, N, C), as :func:`pool_neighbors` gives it.
        indices: (B, N, k) int64, the neighbours.

    Returns:
        Moments over the B * N * k edges, differentiable in u, v and S.
    """
    batch, count, k = indices.shape
    channels = neighbor_terms.shape[2]
    offsets = count * torch.arange(batch, device=indices.device).view(-1, 1, 1)
    degrees = torch.bincount((indices + offsets).flatten(), minlength=batch * count)
    u, v, s = (t.reshape(-1, channels) for t in (neighbor_terms, center_terms, sums))
    mean, variance = _EdgeMoments.apply(u, v, s, degrees, k)  # type: ignore[no-untyped-call]
    return Moments(mean, variance, batch * count * k)


class _EdgeMoments(torch.autograd.Function):
    """Mean and variance over edges of u_j + v_i for each of C channels.

    The variance is stationary in the means it is taken about, so its gradient holds them fixed.
    """

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, v: Tensor, s: Tensor, degrees: Tensor, k: int
    ) -> tuple[Tensor, Tensor]:
        u_mean, v_mean = s.mean(dim=0) / k, v.mean(dim=0)
        ctx.save_for_backward(u, v, s, degrees, u_mean, v_mean)
        ctx.k = k
        edges = EdgeTerms(u, v, s, degrees, u_mean, v_mean, k)
        squares = kernels_for(u.device).edge_squares(edges)
        # Terms that cancel exactly may leave a rounding below zero.
        variance = (squares / (len(v) * k)).clamp(min=0).to(u_mean.dtype)
        return u_mean + v_mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, mean_gradient: Tensor, variance_gradient: Tensor) -> tuple[Any, ...]:
        u, v, s, degrees, u_mean, v_mean = ctx.saved_tensors
        edges, rows = EdgeTerms(u, v, s, degrees, u_mean, v_mean, ctx.k), len(v)
        slope, level = variance_gradient * (2 / (rows * ctx.k)), mean_gradient / rows
        gradients = kernels_for(u.device).edge_squares_backward(edges, slope, level)
        return *gradients, None, None
