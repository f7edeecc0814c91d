"""Octant statistics in regions: what local geometry a cloud has, and roughly where."""

import math

import torch
from torch import Tensor, nn

from pc_crvae.geometry import octant_means
from pc_crvae.models.checks import check_clouds

_NUMBERS = 24
_STATISTICS = 7
_REGIONS = 10
_COSINE = math.cos(math.radians(75.0))
"""A double cone of 150 degrees reaches 75 degrees to either side of its axis."""


class OctantStatistics(nn.Module):
    """Statistics of whitened octant means in the whole cloud and nine overlapping regions.

    Each point has the mean offset of its neighbours in each octant, 24 numbers
    (`pc_crvae.geometry.octant_means`), which are whitened by their principal axes. Seven statistics
    of each are taken in ten regions (`regions_of`), and the square root of their size. The idea is
    that of PointHop++ and S3I-PointHop (Kadam et al. 2023, arXiv 2302.11506), without labels.

    The whitening is fitted by `fit`, on clouds alone; before, it changes nothing.

    Args:
        share: the share of a cloud's points that count as neighbours of a point.
    """

    center: Tensor
    whitening: Tensor

    def __init__(self, share: float = 1 / 32) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"the share of neighbours must lie in (0, 1], not be {share}")
        super().__init__()
        self.share = share
        self.register_buffer("center", torch.zeros(_NUMBERS))
        self.register_buffer("whitening", torch.eye(_NUMBERS))
        self.out_features = _REGIONS * _STATISTICS * _NUMBERS

    @torch.no_grad()
    def fit(self, points: Tensor) -> None:
        """Fit the whitening to the octant means of all points of ``points`` (B, N, 3)."""
        local = self._octants(points).flatten(end_dim=1).double()
        center = local.mean(dim=0)
        covariance = (local - center).t() @ (local - center) / len(local)
        variances, axes = torch.linalg.eigh(covariance)
        # A direction without spread, as of flat clouds, stays small instead of becoming noise.
        scales = (variances.clamp(min=0) + 1e-6 * variances.max().clamp(min=1e-30)).rsqrt()
        self.center.copy_(center)
        self.whitening.copy_(axes * scales)

    def forward(self, points: Tensor) -> Tensor:
        """Describe ``points`` (B, N, 3): (B, 1680), by region, then statistic, then number.

        Raises:
            ValueError: the shape is another.
        """
        check_clouds(points)
        with torch.autocast(points.device.type, enabled=False):
            local = (self._octants(points) - self.center) @ self.whitening  # (B, N, 24)
            inside = regions_of(points)
            found = torch.stack([_statistics(local, region) for region in inside], dim=1)
        return (found.sign() * found.abs().sqrt()).flatten(start_dim=1)

    def _octants(self, points: Tensor) -> Tensor:
        neighbors = max(1, round(self.share * points.shape[1]))
        return octant_means(points, neighbors).to(self.center.dtype)


def regions_of(points: Tensor) -> list[Tensor]:
    """Return the ten regions of S3I-PointHop, each as the points (B, N) of ``points`` inside it.

    They are the whole; for each axis the double cone of 150 degrees about it; and for each axis and
    sign the cone with its tip at distance 1 on the axis, whose base lies in the plane through the
    origin and has radius 1.
    """
    radii = points.norm(dim=2)
    regions = [torch.ones_like(radii, dtype=torch.bool)]
    regions += [points[..., axis].abs() >= _COSINE * radii for axis in range(3)]
    for axis in range(3):
        along = points[..., axis]
        across = (radii.square() - along.square()).clamp(min=0).sqrt()
        regions += [(sign * along >= 0) & (across <= 1 - sign * along) for sign in (1, -1)]
    return regions


def _statistics(local: Tensor, inside: Tensor) -> Tensor:
    """Seven statistics (B, 7, C) of the rows of ``local`` (B, N, C) that are ``inside`` (B, N).

    They are the mean, maximum, minimum, variance, standard deviation, mean size and root mean
    square; all are 0 where nothing is inside.
    """
    mask = inside.unsqueeze(2)
    count = mask.sum(dim=1).clamp(min=1)
    zeroed = local * mask
    mean = zeroed.sum(dim=1) / count
    square = zeroed.square().sum(dim=1) / count
    variance = (((local - mean.unsqueeze(1)) * mask).square()).sum(dim=1) / count
    largest = local.masked_fill(~mask, -torch.inf).amax(dim=1)
    least = local.masked_fill(~mask, torch.inf).amin(dim=1)
    empty = ~inside.any(dim=1, keepdim=True)
    return torch.stack(
        [
            mean,
            largest.masked_fill(empty, 0),
            least.masked_fill(empty, 0),
            variance,
            variance.sqrt(),
            zeroed.abs().sum(dim=1) / count,
            square.sqrt(),
        ],
        dim=1,
    )
