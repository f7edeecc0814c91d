"""FoldingNet's graph encoder: local shape beside each point, pooled along a neighbour graph."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from pc_crvae.geometry import gather_points, k_nearest_neighbors, pool_neighbors
from pc_crvae.models.mlp import Perceptron, check_positive, perceptrons
from pc_crvae.models.points.checks import check_clouds
from pc_crvae.models.points.encoder import pool_over_points
from pc_crvae.models.points.pooled import maximum_over_points


class FoldingNetEncoder(nn.Module):
    """Graph-based encoder (Yang et al. 2018, arXiv 1712.07262, section 2.1).

    Up to and including the global maximum; the two 512-wide layers that make the paper's
    codeword of it are the model's head.

    Args:
        k: neighbours of a point in space, itself included.
        widths: outputs of the perceptrons shared by all points.
        graph_widths: outputs of the graph layers, each a maximum over the neighbourhood,
            then a perceptron; the last is ``out_features``.
        covariance: put the neighbourhood's 3 x 3 covariance beside each point's xyz.
        batch_norm: normalise within every perceptron (the paper does not).

    Raises:
        ValueError: a size is not positive.
    """

    pool = staticmethod(pool_over_points)

    def __init__(
        self,
        k: int = 16,
        widths: Sequence[int] = (64, 64, 64),
        graph_widths: Sequence[int] = (128, 1024),
        covariance: bool = True,
        batch_norm: bool = False,
    ) -> None:
        check_positive("FoldingNetEncoder", k=k, widths=widths, graph_widths=graph_widths)
        super().__init__()
        self.perceptrons = perceptrons(12 if covariance else 3, widths, batch_norm=batch_norm)
        self.graph_layers = nn.ModuleList(
            Perceptron(before, after, batch_norm=batch_norm)
            for before, after in pairwise((widths[-1], *graph_widths))
        )
        self.k = k
        self.covariance = covariance
        self.out_features = graph_widths[-1]

    def forward(self, points: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) to (B, out_features), whatever the order of the points.

        Raises:
            ValueError: ``points`` has another shape, or fewer than ``k`` points a cloud.
        """
        return maximum_over_points(self._last_layer, self._graph_features(points))

    def forward_features(self, points: Tensor) -> Tensor:
        """The features (B, N, out_features) of each point of ``points`` (B, N, 3).

        Raises:
            ValueError: ``points`` has another shape, or fewer than ``k`` points a cloud.
        """
        features: Tensor = self._last_layer(self._graph_features(points))
        return features

    @property
    def _last_layer(self) -> Perceptron:
        return cast(Perceptron, self.graph_layers[-1])

    def _graph_features(self, points: Tensor) -> Tensor:
        """The neighbourhoods' features (B, N, C) that the last graph layer takes."""
        check_clouds(points, at_least=self.k)
        neighbors = k_nearest_neighbors(points, self.k)
        features = points
        if self.covariance:
            covariance = neighborhood_covariance(points, neighbors)
            features = torch.cat([points, covariance.flatten(start_dim=2)], dim=-1)  # (B, N, 12)
        features = self.perceptrons(features)
        for layer in self.graph_layers[:-1]:
            features = layer(pool_neighbors(features, neighbors, with_sum=False).extreme)
        return pool_neighbors(features, neighbors, with_sum=False).extreme


def neighborhood_covariance(points: Tensor, neighbors: Tensor) -> Tensor:
    """Covariance of the positions of each point's neighbours about their own mean.

    Args:
        points: (B, N, 3).
        neighbors: (B, N, k) int64; the sum of outer products is divided by k.

    Returns:
        (B, N, 3, 3), symmetric; zero where k is 1.
    """
    neighborhoods = gather_points(points, neighbors)  # (B, N, k, 3)
    centered = neighborhoods - neighborhoods.mean(dim=2, keepdim=True)
    return centered.transpose(2, 3) @ centered / neighbors.shape[2]
