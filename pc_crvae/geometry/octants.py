"""Local geometry in numbers: where a point's neighbours lie, octant by octant."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pc_crvae.geometry.kernels import kernels_for


def octant_means(points: Tensor, neighbors: int | Sequence[int]) -> Tensor:
    """Return, for each point and octant about it, the mean offset of its neighbours there.

    The eight octants are those of the signs of x, y and z, with zero counted as positive. An octant
    without a neighbour gives zeros. A neighbour that coincides with the point has no direction and
    belongs to no octant. Which of equally far neighbours count, where not all can, depends on the
    device. On the CPU a point that is not finite has NaN, and is no neighbour of others. The
    statistic is that of PointHop (Zhang et al. 2020, arXiv 1907.12766, section 3.1), with offsets
    in place of coordinates.

    Args:
        points: (B, N, 3), any floating dtype; below float32 the function works in float32.
        neighbors: how many nearest other points count, one number per scale, in rising order.
            Clouds of fewer other points take them all.

    Returns:
        (B, N, 24 S) for S scales, in the unit of ``points``: by scale, then octant (the sign of x
        changes slowest, that of z fastest, negative before positive), then axis. It carries no
        gradient.

    Raises:
        ValueError: the shape is another, there is no point, or the numbers of neighbours are not
            positive and rising.
    """
    return octant_means_of_views(points, neighbors, points.new_ones((1, 3)))[:, 0]


def octant_means_of_views(points: Tensor, neighbors: int | Sequence[int], signs: Tensor) -> Tensor:
    """Return the `octant_means` of mirror images of clouds, neighbours searched once a cloud.

    Args:
        points: (B, N, 3).
        neighbors: as of `octant_means`.
        signs: (V, 3), 1 or -1: the coordinates of view v are ``points * signs[v]``.

    Returns:
        (B, V, N, 24 S). Which of equally far neighbours count is the same in all views.

    Raises:
        ValueError: as `octant_means`.
    """
    scales = (neighbors,) if isinstance(neighbors, int) else tuple(neighbors)
    if not scales or scales[0] < 1 or list(scales) != sorted(set(scales)):
        raise ValueError(f"numbers of neighbours must be positive and rise, not be {scales}")
    if points.dim() != 3 or points.shape[2] != 3 or points.shape[1] == 0:
        raise ValueError(f"clouds must be (B, N, 3) with N >= 1, not {tuple(points.shape)}")
    points = points.detach()  # forward-mode derivatives, unlike backward ones, ignore `no_grad`
    points = points.to(torch.promote_types(points.dtype, torch.float32)).contiguous()
    others = points.shape[1] - 1
    counts = [min(count, others) for count in scales]
    if others == 0:
        return points.new_zeros((len(points), len(signs), points.shape[1], 24 * len(scales)))
    return kernels_for(points.device).octant_means(points, counts, signs.detach().to(points))
