"""Octant statistics in regions: what local geometry a cloud has, and roughly where."""

import torch
from torch import Tensor, nn

from pc_crvae.geometry import octant_means, regions_of
from pc_crvae.models.checks import check_clouds

_NUMBERS = 24
_STATISTICS = 7
_REGIONS = 10
_DESCRIBED_AT_ONCE = 16  # clouds whose octant means stay in the cache
_FITTED_AT_ONCE = 64  # clouds whose octant means are held in double precision


class OctantStatistics(nn.Module):
    """Statistics of whitened octant means in the whole cloud and nine overlapping regions.

    Each point has the mean offset of its neighbours in each octant, 24 numbers
    (`pc_crvae.geometry.octant_means`), which are whitened by their principal axes. Seven statistics
    of each are taken in ten regions (`pc_crvae.geometry.regions_of`), and the square root of their
    size. The idea is that of PointHop++ and S3I-PointHop (Kadam et al. 2023, arXiv 2302.11506),
    without labels.

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
        total = points.new_zeros(_NUMBERS, dtype=torch.float64)
        products = points.new_zeros((_NUMBERS, _NUMBERS), dtype=torch.float64)
        for part in torch.split(points, _FITTED_AT_ONCE):
            local = self._octants(part).flatten(end_dim=1).double()
            total += local.sum(dim=0)
            products += local.t() @ local
        count = points.shape[0] * points.shape[1]
        center = total / count
        covariance = products / count - torch.outer(center, center)
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
            parts = torch.split(points, _DESCRIBED_AT_ONCE)
            found = torch.cat([self._statistics_of(part) for part in parts])
        return (found.sign() * found.abs().sqrt()).flatten(start_dim=1)

    def _statistics_of(self, points: Tensor) -> Tensor:
        local = (self._octants(points) - self.center) @ self.whitening
        return _statistics(local, torch.stack(regions_of(points), dim=1))

    def _octants(self, points: Tensor) -> Tensor:
        neighbors = max(1, round(self.share * points.shape[1]))
        return octant_means(points, neighbors).to(self.center.dtype)


def _statistics(local: Tensor, inside: Tensor) -> Tensor:
    """Seven statistics (B, R, 7, C) of the rows of ``local`` (B, N, C) in each of R regions.

    They are the mean, maximum, minimum, variance, standard deviation, mean size and root mean
    square; all are 0 where no row is ``inside`` (B, R, N).
    """
    rows = local.transpose(1, 2).contiguous()  # (B, C, N): sums and extremes run along memory
    weights = inside.to(rows.dtype)
    weights = (weights / weights.sum(dim=2, keepdim=True).clamp(min=1)).transpose(1, 2)
    mean, size, square = (
        (values @ weights).transpose(1, 2) for values in (rows, rows.abs(), rows.square())
    )
    largest, least, variance = [], [], []
    for place, region in enumerate(inside.unbind(dim=1)):
        outside, empty = ~region.unsqueeze(1), ~region.any(dim=1, keepdim=True)
        largest.append(rows.masked_fill(outside, -torch.inf).amax(dim=2).masked_fill(empty, 0))
        least.append(rows.masked_fill(outside, torch.inf).amin(dim=2).masked_fill(empty, 0))
        # From the mean, since the difference of the means of squares would lose its digits.
        deviations = (rows - mean[:, place].unsqueeze(2)).square()
        variance.append((deviations @ weights[:, :, place].unsqueeze(2)).squeeze(2))
    spread = torch.stack(variance, dim=1)
    extremes = torch.stack(largest, dim=1), torch.stack(least, dim=1)
    return torch.stack([mean, *extremes, spread, spread.sqrt(), size, square.sqrt()], dim=2)
