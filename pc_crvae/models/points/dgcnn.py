"""DGCNN: edge convolutions on nearest-neighbour graphs, then a pool over the points."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pc_crvae.geometry import edge_moments, k_nearest_neighbors, pool_neighbors
from pc_crvae.models.checks import check_clouds, check_positive
from pc_crvae.models.mlp import Perceptron, norm_of
from pc_crvae.models.points.encoder import pool_over_points
from pc_crvae.models.points.pooled import maximum_over_points
from pc_crvae.models.registry import POINT_ENCODERS

_NEGATIVE_SLOPE = 0.2


class EdgeConv(nn.Module):
    """Edge convolution (Wang et al. 2019, arXiv 1801.07829, section 3.1).

    The new feature of point i is the maximum over its neighbours j of
    ``LeakyReLU(BN(W [x_j - x_i ; x_i]))`` with slope 0.2. The products are computed per
    point, not per edge, as ``u_j + v_i`` with ``u = W_1 x``, ``v = W_2 x - u`` and
    ``W = [W_1 W_2]``.

    Args:
        in_features: C, so that W is (C', 2C).
        out_features: C'.
        batch_norm: normalise over all edges of the batch; W then has no bias.
    """

    def __init__(self, in_features: int, out_features: int, *, batch_norm: bool = True) -> None:
        check_positive("EdgeConv", in_features=in_features, out_features=out_features)
        super().__init__()
        self.linear = nn.Linear(2 * in_features, out_features, bias=not batch_norm)
        self.norm = norm_of(out_features, batch_norm)

    def forward(self, features: Tensor, neighbors: Tensor) -> Tensor:
        """Convolve ``features`` (B, N, C) along ``neighbors`` (B, N, k) int64 to (B, N, C')."""
        difference_weight, center_weight = self.linear.weight.chunk(2, dim=1)
        # W_1 x_j and W_1 x_i nearly cancel for near neighbours, whatever the autocast rounds.
        with torch.autocast(features.device.type, enabled=False):
            dtype = self.linear.weight.dtype
            neighbor_terms = F.linear(features.to(dtype), difference_weight)  # u, (B, N, C')
        center_terms = F.linear(features, center_weight, self.linear.bias) - neighbor_terms  # v
        if isinstance(self.norm, nn.Identity):
            pool = pool_neighbors(neighbor_terms, neighbors, with_sum=False)
            return F.leaky_relu(pool.extreme + center_terms, _NEGATIVE_SLOPE)
        # Normalisation and activation increase with the edge's value, or decrease with it where
        # the scale is negative, so the extreme edge stays so and only it is normalised.
        pool = pool_neighbors(
            neighbor_terms, neighbors, self.norm.weight >= 0, with_sum=self.norm.training
        )
        edges = pool.extreme + center_terms
        if pool.sum is None:
            normalized = self.norm(edges)
        else:
            moments = edge_moments(neighbor_terms, center_terms, pool.sum, neighbors)
            normalized = self.norm.normalize_by(edges, moments)
        return F.leaky_relu(normalized, _NEGATIVE_SLOPE)


@POINT_ENCODERS.register("dgcnn")
class DGCNN(nn.Module):
    """DGCNN encoder (Wang et al. 2019, arXiv 1801.07829, section 3.2 and figure 3).

    Args:
        widths: outputs of the edge convolutions, which are concatenated.
        embedding: width of the perceptron on the concatenation.
        k: neighbours of a point, itself included.
        pooling: how points are pooled: their maximum, or maximum and mean one after the other.
        batch_norm: normalise within every layer.
        graph: ``dynamic`` finds neighbours anew in each layer's input features, ``static``
            keeps those in space for all layers.

    Raises:
        ValueError: a size is not positive, or ``pooling`` or ``graph`` is not one of the above.
    """

    pool = staticmethod(pool_over_points)

    def __init__(
        self,
        widths: Sequence[int] = (64, 64, 128, 256),
        embedding: int = 1024,
        k: int = 20,
        pooling: Literal["max", "max_mean"] = "max",
        batch_norm: bool = True,
        graph: Literal["dynamic", "static"] = "dynamic",
    ) -> None:
        check_positive("DGCNN", widths=widths, embedding=embedding, k=k)
        if pooling not in ("max", "max_mean"):
            raise ValueError(f"DGCNN: pooling must be max or max_mean, got {pooling}")
        if graph not in ("dynamic", "static"):
            raise ValueError(f"DGCNN: graph must be dynamic or static, got {graph}")
        super().__init__()
        self.convolutions = nn.ModuleList(
            EdgeConv(before, after, batch_norm=batch_norm)
            for before, after in pairwise((3, *widths))
        )
        self.embedding = Perceptron(
            sum(widths), embedding, batch_norm=batch_norm, negative_slope=_NEGATIVE_SLOPE
        )
        self.k = k
        self.pooling = pooling
        self.graph = graph
        self.out_features = 2 * embedding if pooling == "max_mean" else embedding

    def forward(self, points: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) to (B, out_features), whatever the order of the points.

        Raises:
            ValueError: ``points`` has another shape, or fewer than ``k`` points a cloud.
        """
        if self.pooling == "max":
            return maximum_over_points(self.embedding, self._edge_features(points))
        features = self.forward_features(points)
        # Not `pool`, whose maximum shares its gradient among points that are equal.
        return torch.cat([features.max(dim=1).values, features.mean(dim=1)], dim=-1)

    def forward_features(self, points: Tensor) -> Tensor:
        """The features (B, N, embedding) of each point of ``points`` (B, N, 3).

        Raises:
            ValueError: ``points`` has another shape, or fewer than ``k`` points a cloud.
        """
        features: Tensor = self.embedding(self._edge_features(points))
        return features

    def _edge_features(self, points: Tensor) -> Tensor:
        """What the edge convolutions give, side by side: (B, N, sum of the widths)."""
        check_clouds(points, at_least=self.k)
        neighbors = k_nearest_neighbors(points, self.k)
        features = points
        layers: list[Tensor] = []
        for convolution in self.convolutions:
            if layers and self.graph == "dynamic":
                neighbors = k_nearest_neighbors(features, self.k)
            features = convolution(features, neighbors)
            layers.append(features)
        return torch.cat(layers, dim=-1)
