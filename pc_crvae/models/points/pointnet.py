"""PointNet: perceptrons shared by all points, then a maximum over the points."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from pc_crvae.models.mlp import Perceptron, check_positive, perceptrons
from pc_crvae.models.points.checks import check_clouds
from pc_crvae.models.points.encoder import pool_over_points
from pc_crvae.models.points.pooled import maximum_over_points


class PointNet(nn.Module):
    """PointNet encoder without transformation nets (Qi et al. 2017, arXiv 1612.00593).

    Args:
        widths: outputs of the shared perceptrons; the last is ``out_features``.
        batch_norm: normalise within every perceptron.

    Raises:
        ValueError: a width is not positive.
    """

    pool = staticmethod(pool_over_points)

    def __init__(
        self, widths: Sequence[int] = (64, 64, 64, 128, 1024), batch_norm: bool = True
    ) -> None:
        check_positive("PointNet", widths=widths)
        super().__init__()
        self.perceptrons = perceptrons(3, widths, batch_norm=batch_norm)
        self.out_features = widths[-1]

    def forward(self, points: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) to (B, out_features), whatever the order of the points.

        Raises:
            ValueError: ``points`` has another shape.
        """
        check_clouds(points)
        features: Tensor = self.perceptrons[:-1](points)  # (B, N, C)
        return maximum_over_points(cast(Perceptron, self.perceptrons[-1]), features)

    def forward_features(self, points: Tensor) -> Tensor:
        """The features (B, N, out_features) of each point of ``points`` (B, N, 3).

        Raises:
            ValueError: ``points`` has another shape.
        """
        check_clouds(points)
        features: Tensor = self.perceptrons(points)
        return features
