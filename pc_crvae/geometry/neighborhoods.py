"""What a point's neighbours say: extremes and sums over them, and moments over a graph's edges."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from pc_crvae.geometry.kernels import kernels_for, reference
from pc_crvae.geometry.kernels.operations import EdgeTerms
from pc_crvae.utils.differentiation import differentiable_gradients, is_transformed, wants_graph


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
    if features.dim() != 3 or indices.dim() != 3 or features.shape[0] != indices.shape[0]:
        raise ValueError(
            "pool_neighbors takes features (B, M, C) and indices (B, N, k), not "
            f"{tuple(features.shape)} and {tuple(indices.shape)}"
        )
    if largest is not None and largest.shape != features.shape[2:]:
        raise ValueError(
            f"largest must be ({features.shape[2]},), one per channel, not {tuple(largest.shape)}"
        )
    if indices.shape[2] == 0:
        raise ValueError("pool_neighbors needs at least one neighbour per point")
    transformed = is_transformed()
    # Elsewhere it would stall the queue; what is transformed has no values to look at.
    if indices.device.type == "cpu" and indices.numel() and not transformed:
        lowest, highest = (int(bound) for bound in indices.aminmax())
        if lowest < 0 or highest >= features.shape[1]:
            raise IndexError(
                f"neighbours {lowest} to {highest} are not all among {features.shape[1]} points"
            )
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    signs = extreme_signs(largest, features)
    if transformed:
        extreme, _, total = kernels_for(features.device).pool_neighbors(
            features, indices, signs, with_sum=with_sum
        )
    else:
        extreme, total = _PoolNeighbors.apply(  # type: ignore[no-untyped-call]
            features, indices, signs, with_sum
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
    def backward(ctx: Any, extreme_gradient: Tensor, sum_gradient: Tensor) -> tuple[Any, ...]:
        argument, indices = ctx.saved_tensors
        of_sum = sum_gradient if ctx.with_sum else None
        kernels = reference if wants_graph(extreme_gradient, sum_gradient) else ctx.kernels
        gradient = kernels.unpool_neighbors(
            extreme_gradient, argument, of_sum, indices, ctx.n_points
        )
        return gradient, None, None, None


class Moments(NamedTuple):
    """Moments of many rows, feature by feature.

    Attributes:
        mean: (C,).
        variance: (C,), the mean squared deviation.
        rows: the number of rows.
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
    places = (indices + offsets).flatten()
    u, v, s = (t.reshape(-1, channels) for t in (neighbor_terms, center_terms, sums))
    if is_transformed():  # which has no bincount
        degrees = places.new_zeros(batch * count).scatter_add(0, places, torch.ones_like(places))
        mean, variance = _plain_moments(u, v, s, degrees, k)
    else:
        degrees = torch.bincount(places, minlength=batch * count)
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
        edges = _edges(u, v, s, degrees, k)
        *tensors, ctx.k = edges
        ctx.save_for_backward(*tensors)
        return _mean_and_variance(edges, kernels_for(u.device).edge_squares(edges))

    @staticmethod
    def backward(ctx: Any, mean_gradient: Tensor, variance_gradient: Tensor) -> tuple[Any, ...]:
        edges = EdgeTerms._make([*ctx.saved_tensors, ctx.k])
        u, v, s, degrees, *_ = edges
        if wants_graph(mean_gradient, variance_gradient):

            def moments(u: Tensor, v: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
                return _plain_moments(u, v, s, degrees, ctx.k)

            found = differentiable_gradients(moments, (u, v, s), (mean_gradient, variance_gradient))
            return *found, None, None
        slope, level = variance_gradient * (2 / (len(v) * ctx.k)), mean_gradient / len(v)
        gradients = kernels_for(u.device).edge_squares_backward(edges, slope, level)
        return *gradients, None, None


def _plain_moments(
    u: Tensor, v: Tensor, s: Tensor, degrees: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """Mean and variance (C,) over the edges, by operations that PyTorch differentiates."""
    edges = _edges(u, v, s, degrees, k)
    return _mean_and_variance(edges, reference.edge_squares(edges))


def _edges(u: Tensor, v: Tensor, s: Tensor, degrees: Tensor, k: int) -> EdgeTerms:
    return EdgeTerms(u, v, s, degrees, s.mean(dim=0) / k, v.mean(dim=0), k)


def _mean_and_variance(edges: EdgeTerms, squares: Tensor) -> tuple[Tensor, Tensor]:
    # Terms that cancel exactly may leave a rounding below zero.
    variance = (squares / (len(edges.v) * edges.k)).clamp(min=0)
    return edges.u_mean + edges.v_mean, variance.to(edges.u_mean.dtype)
