"""Every operation in plain PyTorch: right on any device, and what fast kernels are held against."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pc_crvae.geometry.gather import gather_points
from pc_crvae.geometry.kernels.operations import EdgeTerms
from pc_crvae.utils.differentiation import is_exported, is_transformed

# Scratch memory of one block of distances. On a CPU a block should stay in cache; an
# accelerator wants few, large kernels.
_CPU_BLOCK_BYTES = 2 * 2**20
_ACCELERATOR_BLOCK_BYTES = 32 * 2**20


def nearest(query: Tensor, reference: Tensor) -> Tensor:
    """(B, N, D) and (B, M, D) to (B, N) int64, the lowest index of equals."""
    parts = [distances.min(dim=2).indices for *_, distances in _distance_blocks(query, reference)]
    return _together(parts, query.shape[:2], query.device)


def mutual_nearest(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """`nearest` both ways, with every distance computed once."""
    if is_transformed():  # which lets nothing be written into what is not transformed itself
        return nearest(x, y), nearest(y, x)
    x_to_y = torch.empty(x.shape[:2], dtype=torch.int64, device=x.device)
    y_to_x = torch.zeros(y.shape[:2], dtype=torch.int64, device=x.device)
    smallest = torch.full(y.shape[:2], torch.inf, dtype=x.dtype, device=x.device)
    for clouds, rows, distances in _distance_blocks(x, y):
        x_to_y[clouds, rows] = distances.min(dim=2).indices
        block_smallest, block_indices = distances.min(dim=1)
        # Blocks come in order of rows, so a strict comparison keeps the lowest index.
        nearer = block_smallest < smallest[clouds]
        smallest[clouds] = torch.where(nearer, block_smallest, smallest[clouds])
        y_to_x[clouds] = torch.where(nearer, block_indices + rows.start, y_to_x[clouds])
    return x_to_y, y_to_x


def k_nearest(points: Tensor, k: int) -> Tensor:
    """(B, N, D) to (B, N, k) int64, nearest first, the point itself in front."""
    parts = []
    places = torch.arange(points.shape[1], device=points.device)
    for _, rows, distances in _distance_blocks(points, points):
        itself = places[rows].unsqueeze(1) == places
        distances = distances.masked_fill(itself, -1.0)  # first
        parts.append(distances.topk(k, dim=2, largest=False).indices)
    return _together(parts, (*points.shape[:2], k), points.device)


def octant_means(points: Tensor, counts: Sequence[int], signs: Tensor) -> Tensor:
    """See `Kernels.octant_means`."""
    return octant_means_of(points, k_nearest(points, counts[-1] + 1), counts, signs)


def octant_means_of(
    points: Tensor, neighbors: Tensor, counts: Sequence[int], signs: Tensor
) -> Tensor:
    """As `octant_means`, of the neighbours (B, N, k) that `k_nearest` gives."""
    places = gather_points(points, neighbors[..., 1:].flatten(1))
    offsets = places.reshape(*points.shape[:2], -1, 3) - points.unsqueeze(2)  # (B, N, k, 3)
    return torch.stack([_means_by_octant(offsets * view, counts) for view in signs], dim=1)


def _means_by_octant(offsets: Tensor, counts: Sequence[int]) -> Tensor:
    """The means (B, N, 24 S) of offsets (B, N, k, 3), nearest first."""
    positive = (offsets >= 0).long()
    octant = 4 * positive[..., 0] + 2 * positive[..., 1] + positive[..., 2]
    # A duplicate has no direction.
    in_octant = octant.unsqueeze(-1) == torch.arange(8, device=octant.device)  # (B, N, k, 8)
    members = in_octant & (offsets != 0).any(dim=-1, keepdim=True)
    means = []
    for count in counts:
        inside = members[:, :, :count].to(offsets.dtype)
        sums = torch.einsum("bnko,bnka->bnoa", inside, offsets[:, :, :count])
        means.append(sums / inside.sum(dim=2).clamp(min=1).unsqueeze(-1))
    return torch.stack(means, dim=2).flatten(2)


def farthest_points(points: Tensor, count: int, start: Tensor) -> Tensor:
    """(B, N, 3) to (B, count) int64 in order of choice."""
    batch, n_points, _ = points.shape
    clouds = torch.arange(batch, device=points.device)
    chosen = []
    squared_distances = points.new_full((batch, n_points), torch.inf)  # to the nearest chosen
    latest = start
    for _ in range(count):
        chosen.append(latest)
        offsets = points - points[clouds, latest].unsqueeze(1)  # (B, N, 3)
        # fmin, unlike minimum, lets a NaN distance change nothing.
        squared_distances = torch.fmin(squared_distances, offsets.square().sum(dim=2))
        squared_distances[clouds, latest] = -1.0  # never again: no distance is below it
        latest = squared_distances.max(dim=1).indices
    return torch.stack(chosen, dim=1)


def pool_neighbors(
    features: Tensor, indices: Tensor, signs: Tensor, *, with_sum: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Extreme (B, N, C), its argument (B, N, C) int32, and the sum (B, N, C) or (0, 0, 0)."""
    edges = gather_points(features, indices)  # (B, N, k, C)
    extreme, place = (edges * signs).max(dim=2)
    argument = indices.gather(2, place).int()
    total = edges.sum(dim=2) if with_sum else edges.new_empty((0, 0, 0))
    return extreme * signs, argument, total


def unpool_neighbors(
    extreme_gradient: Tensor,
    argument: Tensor,
    sum_gradient: Tensor | None,
    indices: Tensor,
    n_points: int,
) -> Tensor:
    """The gradient (B, M, C), differentiable in those given.

    By `index_add`, of which CUDA has a deterministic form, and by no operation that cannot be
    batched.
    """
    batch, _, channels = extreme_gradient.shape
    zeros = extreme_gradient.new_zeros(batch * n_points * channels)
    clouds = n_points * torch.arange(batch, device=indices.device)[:, None, None]
    entries = (argument + clouds) * channels + torch.arange(channels, device=indices.device)
    gradient = zeros.index_add(0, entries.flatten(), extreme_gradient.reshape(-1))
    gradient = gradient.view(-1, channels)
    if sum_gradient is not None:
        # One neighbour at a time, lest the gradient be repeated k times in memory.
        for neighbors in (indices + clouds).flatten(0, 1).unbind(dim=1):  # (B * N,)
            gradient = gradient.index_add(0, neighbors, sum_gradient.reshape(-1, channels))
    return gradient.view(batch, n_points, channels)


def edge_squares(edges: EdgeTerms) -> Tensor:
    """Sum over edges of (u_j + v_i - mean)^2, (C,), added up in `sums_dtype`."""
    u, v, s, degrees, u_mean, v_mean, k = edges
    dtype = sums_dtype(u)
    u, v = u.to(dtype) - u_mean, v.to(dtype) - v_mean
    s = s.to(dtype) - k * u_mean.to(dtype)
    return (degrees.unsqueeze(1) * u.square() + v * (2 * s + k * v)).sum(dim=0)


def edge_squares_backward(edges: EdgeTerms, slope: Tensor, level: Tensor) -> Sequence[Tensor]:
    """Gradients (R, C) in u, v and s."""
    u, v, s, degrees, u_mean, v_mean, k = edges
    centered = v - v_mean
    u_gradient = degrees.unsqueeze(1).to(u.dtype) * ((u - u_mean) * slope)
    v_gradient = slope * (s - k * u_mean + k * centered) + level
    return u_gradient, v_gradient, slope * centered + level / k


def column_extremes(
    values: Tensor, centers: Tensor, signs: Tensor, squares: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Extremes (C,) of (N, C) and their rows (C,); adds squared deviations to ``squares``."""
    if squares is not None:
        squares += (values - centers).square().sum(dim=0, dtype=squares.dtype)
    extreme, argument = (values * signs).max(dim=0)
    return extreme * signs, argument


def picked_products(features: Tensor, weight: Tensor, argument: Tensor) -> Tensor:
    """(B, N, D), (C, D) and (B, C) to (B, C)."""
    return (gather_points(features, argument) * weight).sum(dim=2)


def picked_products_backward(
    gradient: Tensor, features: Tensor, weight: Tensor, argument: Tensor, features_gradient: Tensor
) -> Tensor:
    """The weight's gradient (C, D); the features' is added to ``features_gradient`` (B, N, D)."""
    expanded = argument.unsqueeze(2).expand(-1, -1, features.shape[2])
    features_gradient.scatter_add_(1, expanded, gradient.unsqueeze(2) * weight)
    return torch.einsum("bc,bcd->cd", gradient, gather_points(features, argument))


def fold(
    latent_terms: Tensor,
    points: Tensor,
    point_weight: Tensor,
    layers: Sequence[tuple[Tensor, Tensor]],
) -> Tensor:
    """The fold's layers one after another on the whole batch, (B, M, 3)."""
    hidden = F.relu(latent_terms.unsqueeze(1) + F.linear(points, point_weight))
    *inner, (weight, bias) = layers
    for inner_weight, inner_bias in inner:
        hidden = F.relu(F.linear(hidden, inner_weight, inner_bias))
    with torch.autocast(hidden.device.type, enabled=False):
        return F.linear(hidden.to(weight.dtype), weight, bias)


def sums_dtype(like: Tensor) -> torch.dtype:
    """float64 for sums that may cancel, where the device of ``like`` has it."""
    return like.dtype if like.device.type == "mps" else torch.float64


def _distance_blocks(query: Tensor, reference: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield (clouds, rows, distances): each block holds (b, n, M) distances.

    The distances lie between the query points that ``clouds`` and ``rows`` select and all
    reference points of their clouds. Whole clouds are taken together as long as they fit,
    otherwise some rows of one cloud; a block exceeds its budget only where one row does.
    """
    batch, n_query, n_reference = *query.shape[:2], reference.shape[1]
    if is_transformed():  # all at once, whose number of clouds an export may leave open
        yield slice(0, batch), slice(0, n_query), _all_distances(query, reference)
        return
    budget = _CPU_BLOCK_BYTES if query.device.type == "cpu" else _ACCELERATOR_BLOCK_BYTES
    rows_that_fit = max(1, budget // (n_reference * query.element_size()))
    clouds_step = max(1, rows_that_fit // max(1, n_query))
    rows_step = min(rows_that_fit, max(1, n_query))
    for cloud in range(0, batch, clouds_step):
        clouds = slice(cloud, min(cloud + clouds_step, batch))
        for row in range(0, n_query, rows_step):
            rows = slice(row, min(row + rows_step, n_query))
            yield clouds, rows, _cdist(query[clouds, rows], reference[clouds])


def _cdist(query: Tensor, reference: Tensor) -> Tensor:
    # Not the matrix product, which would cancel and which autocast would blur.
    return torch.cdist(query, reference, compute_mode="donot_use_mm_for_euclid_dist")


def _all_distances(query: Tensor, reference: Tensor) -> Tensor:
    """(B, N, M), in exports by operations that every format has."""
    if query.shape[2] > 3 and not is_exported():
        return _cdist(query, reference)
    offsets = query.unsqueeze(2) - reference.unsqueeze(1)
    return offsets.square().sum(dim=3).sqrt()


def _together(parts: Sequence[Tensor], shape: Sequence[int], device: torch.device) -> Tensor:
    """What was found of each block of `_distance_blocks`, (B, N, ...) int64."""
    if not parts:
        return torch.empty(tuple(shape), dtype=torch.int64, device=device)
    if len(parts) == 1:
        return parts[0]
    return torch.cat([part.flatten(end_dim=1) for part in parts]).reshape(tuple(shape))
