"""A PointNet that sees the local geometry about each point."""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from pc_crvae.geometry import octant_means_of_views, regions_of
from pc_crvae.models.checks import check_clouds, check_positive
from pc_crvae.models.mlp import Perceptron, mlp
from pc_crvae.models.points.encoder import pool_over_points
from pc_crvae.models.points.pooled import maximum_over_points
from pc_crvae.models.registry import POINT_ENCODERS

_REGIONS = 9


@POINT_ENCODERS.register("octant_pointnet")
class OctantPointNet(nn.Module):
    """PointNet (Qi et al. 2017, arXiv 1612.00593) on points and octant means about them.

    Beside its three coordinates a point has, for each scale, the mean offset of its neighbours in
    each of the eight octants (`pc_crvae.geometry.octant_means`). Neighbours are a share of the
    cloud's points, so that a scale is a size in space, however densely a cloud is sampled. Octant
    means stay in the unit of the points: scaled up to the size of the cloud they drown the three
    coordinates (docs/results-shapes.md).

    No gradient passes through the octant means to the points.

    Args:
        shares: the shares of the points that are neighbours, in (0, 1], one per scale, rising.
        widths: outputs of the shared perceptrons; the last is ``out_features``.
        batch_norm: normalise within every perceptron.
        region_width: outputs of one more perceptron, of which the maximum over each of nine
            regions (`pc_crvae.geometry.regions_of`) stands beside the maximum of all points; 0
            for none.

    Raises:
        ValueError: a width is not positive, or the shares do not rise within (0, 1].
    """

    pool = staticmethod(pool_over_points)

    def __init__(
        self,
        shares: Sequence[float] = (1 / 32,),
        widths: Sequence[int] = (64, 128, 1024),
        batch_norm: bool = True,
        region_width: int = 0,
    ) -> None:
        check_positive("OctantPointNet", widths=widths)
        if (
            not shares
            or list(shares) != sorted(set(shares))
            or not 0 < shares[0] <= shares[-1] <= 1
        ):
            raise ValueError(f"shares of neighbours must rise within (0, 1], not be {shares}")
        super().__init__()
        self.shares = tuple(shares)
        self.perceptrons = mlp(3 + 24 * len(shares), widths, batch_norm=batch_norm)
        self.out_features = widths[-1]
        self.of_regions: Perceptron | None = None
        if region_width:
            last = cast(Perceptron, self.perceptrons[-1])
            self.of_regions = Perceptron(
                last.linear.in_features, region_width, batch_norm=batch_norm
            )
            self.out_features += _REGIONS * region_width

    def forward(self, points: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) to (B, out_features), whatever the order of the points.

        Raises:
            ValueError: ``points`` has another shape.
        """
        return self._encode(points, self._with_neighborhoods(points))

    def forward_mirrored(self, points: Tensor, signs: Tensor) -> Tensor:
        """Encode mirror images of ``points`` (B, N, 3), neighbours searched once a cloud.

        Args:
            points: the clouds.
            signs: (V, 3), 1 or -1: view v is ``points * signs[v]``.

        Returns:
            (B V, out_features), the views of a cloud one after another.

        Raises:
            ValueError: ``points`` has another shape.
        """
        check_clouds(points)
        views = (points.unsqueeze(1) * signs.to(points)[:, None]).flatten(end_dim=1)
        return self._encode(views, self._with_neighborhoods(points, signs))

    def _encode(self, points: Tensor, inputs: Tensor) -> Tensor:
        """Clouds (B, N, 3) whose points and neighbourhoods are (B, N, 3 + 24 S)."""
        features: Tensor = self.perceptrons[:-1](inputs)  # (B, N, C)
        whole = maximum_over_points(cast(Perceptron, self.perceptrons[-1]), features)
        if self.of_regions is None:
            return whole
        parts = [part.amax(dim=1) for part in self._in_regions(points, features)]
        return torch.cat([whole, *parts], dim=1)

    def forward_features(self, points: Tensor) -> Tensor:
        """The features (B, N, out_features) of each point of ``points`` (B, N, 3).

        Raises:
            ValueError: ``points`` has another shape.
        """
        features: Tensor = self.perceptrons[:-1](self._with_neighborhoods(points))
        whole: Tensor = self.perceptrons[-1](features)
        if self.of_regions is None:
            return whole
        return torch.cat([whole, *self._in_regions(points, features)], dim=2)

    def _in_regions(self, points: Tensor, features: Tensor) -> Iterator[Tensor]:
        """What the points have of each region (B, N, C), 0 where they lie outside of it.

        Features are not negative, so that the maximum over the points is that over the region.
        """
        assert self.of_regions is not None
        of_points = self.of_regions(features)
        for inside in regions_of(points)[1:]:
            yield of_points * inside.unsqueeze(2)

    def _with_neighborhoods(self, points: Tensor, signs: Tensor | None = None) -> Tensor:
        """Points and octant means of the views of ``signs`` (V, 3): (B V, N, 3 + 24 S)."""
        check_clouds(points)
        counts = [max(1, round(share * int(points.shape[1]))) for share in self.shares]
        # Small clouds may have fewer neighbours than scales.
        rising = sorted(set(counts))
        signs = points.new_ones((1, 3)) if signs is None else signs.to(points)
        means = octant_means_of_views(points, rising, signs).flatten(end_dim=1)
        points = (points.unsqueeze(1) * signs[:, None]).flatten(end_dim=1)
        by_scale = means.reshape(*means.shape[:2], len(rising), 24)
        of_scales = [by_scale[:, :, rising.index(count)] for count in counts]
        return torch.cat([points, *(one.to(points.dtype) for one in of_scales)], dim=2)
