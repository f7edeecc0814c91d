"""A PointNet that sees the local geometry about each point."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from pc_crvae.geometry import octant_means
from pc_crvae.models.checks import check_clouds, check_positive
from pc_crvae.models.mlp import Perceptron, mlp
from pc_crvae.models.points.encoder import pool_over_points
from pc_crvae.models.points.pooled import maximum_over_points
from pc_crvae.models.registry import POINT_ENCODERS


@POINT_ENCODERS.register("octant_pointnet")
class OctantPointNet(nn.Module):
    """PointNet (Qi et al. 2017, arXiv 1612.00593) on points and octant means about them.

    Beside its three coordinates a point has, for each scale, the mean offset of its neighbours in
    each of the eight octants (`pc_crvae.geometry.octant_means`). Neighbours are a share of the
    cloud's points, so that a scale is a size in space, however densely a cloud is sampled. Octant
    means are divided by the square root of the share, the radius of a disc that holds the share of
    a surface, up to a constant.

    No gradient passes through the octant means to the points.

    Args:
        shares: the shares of the points that are neighbours, in (0, 1], one a scale, rising.
        widths: outputs of the shared perceptrons; the last is ``out_features``.
        batch_norm: normalise within every perceptron.

    Raises:
        ValueError: a width is not positive, or the shares do not rise within (0, 1].
    """

    pool = staticmethod(pool_over_points)

    def __init__(
        self,
        shares: Sequence[float] = (1 / 32,),
        widths: Sequence[int] = (64, 128, 1024),
        batch_norm: bool = True,
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

    def forward(self, points: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) to (B, out_features), whatever the order of the points.

        Raises:
            ValueError: ``points`` has another shape.
        """
        features: Tensor = self.perceptrons[:-1](self._with_neighborhoods(points))  # (B, N, C)
        return maximum_over_points(cast(Perceptron, self.perceptrons[-1]), features)

    def forward_features(self, points: Tensor) -> Tensor:
        """The features (B, N, out_features) of each point of ``points`` (B, N, 3).

        Raises:
            ValueError: ``points`` has another shape.
        """
        features: Tensor = self.perceptrons(self._with_neighborhoods(points))
        return features

    def _with_neighborhoods(self, points: Tensor) -> Tensor:
        """Points and their scaled octant means, (B, N, 3 + 24 S)."""
        check_clouds(points)
        counts = [max(1, round(share * points.shape[1])) for share in self.shares]
        # Small clouds may have fewer neighbours than scales.
        rising = sorted(set(counts))
        means = octant_means(points, rising).unflatten(2, (len(rising), 24))  # type: ignore[no-untyped-call]
        scaled = [
            means[:, :, rising.index(count)] / math.sqrt(share)
            for count, share in zip(counts, self.shares, strict=True)
        ]
        return torch.cat([points, *(one.to(points.dtype) for one in scaled)], dim=2)
