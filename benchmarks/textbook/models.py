"""Models and distances as public PyTorch code writes them, straight from the papers.

Every N x M distance is formed to keep the nearest, every edge's input is formed and goes
through the linear layer, and the codeword is copied to every point it folds. Parameters have
the names that `pc_crvae.models.points` gives them, so a state dict of ours loads as it is: the
same function by other means, which the package's own form is tested and timed against.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pairwise_squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x|^2 - 2 x.y + |y|^2 of ``x`` (B, N, D) and ``y`` (B, M, D): (B, N, M)."""
    inner = torch.matmul(x, y.transpose(2, 1))
    x_squares = x.square().sum(dim=2, keepdim=True)  # (B, N, 1)
    y_squares = y.square().sum(dim=2, keepdim=True).transpose(2, 1)  # (B, 1, M)
    return x_squares - 2 * inner + y_squares


def k_nearest_neighbors(points: Tensor, k: int) -> Tensor:
    """The k nearest of each of ``points`` (B, N, D), itself included: (B, N, k) int64."""
    with torch.no_grad():
        return pairwise_squared_distances(points, points).topk(k, dim=2, largest=False).indices


def gather_neighbors(features: Tensor, neighbors: Tensor) -> Tensor:
    """Rows of ``features`` (B, M, C) at ``neighbors`` (B, N, k): (B, N, k, C)."""
    batch, count, channels = features.shape
    offsets = torch.arange(batch, device=features.device).view(-1, 1, 1) * count
    rows = features.reshape(batch * count, channels)[(neighbors + offsets).view(-1), :]
    return rows.view(*neighbors.shape, channels)


def chamfer_distance(x: Tensor, y: Tensor) -> Tensor:
    """Sum of both mean squared nearest distances of (B, N, 3) and (B, M, 3): (B,)."""
    distances = pairwise_squared_distances(x, y)
    return distances.min(dim=2).values.mean(dim=1) + distances.min(dim=1).values.mean(dim=1)


def chamfer_distance_by_cdist(x: Tensor, y: Tensor) -> Tensor:
    """The same by `torch.cdist`: (B,)."""
    distances = torch.cdist(x, y)
    x_to_y, y_to_x = distances.min(dim=2).values, distances.min(dim=1).values
    return x_to_y.square().mean(dim=1) + y_to_x.square().mean(dim=1)


def farthest_point_sampling(points: Tensor, count: int) -> Tensor:
    """Greedy farthest points of ``points`` (B, N, 3) from the first one on: (B, count) int64."""
    batch, n_points, _ = points.shape
    rows = torch.arange(batch, device=points.device)
    chosen = torch.zeros(batch, count, dtype=torch.long, device=points.device)
    distances = torch.full((batch, n_points), torch.inf, dtype=points.dtype, device=points.device)
    farthest = torch.zeros(batch, dtype=torch.long, device=points.device)
    for i in range(count):
        chosen[:, i] = farthest
        latest = points[rows, farthest].view(batch, 1, 3)
        distances = torch.minimum(distances, ((points - latest) ** 2).sum(dim=-1))
        farthest = distances.max(dim=-1).indices
    return chosen


class BatchNorm(nn.BatchNorm1d):
    """torch's batch-norm of the rows of (..., C)."""

    def forward(self, features: Tensor) -> Tensor:
        """Normalise per feature, every other dimension being batch."""
        return super().forward(features.flatten(0, -2)).view(features.shape)


class Perceptron(nn.Module):
    """Linear, optional batch-norm, (leaky) ReLU."""

    def __init__(
        self, in_features: int, out_features: int, batch_norm: bool, negative_slope: float = 0.0
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias=not batch_norm)
        self.norm = BatchNorm(out_features) if batch_norm else nn.Identity()
        self.activation = nn.LeakyReLU(negative_slope) if negative_slope else nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Map ``features`` (..., C) to (..., C')."""
        output: Tensor = self.activation(self.norm(self.linear(features)))
        return output


def mlp(in_features: int, widths: Sequence[int], batch_norm: bool) -> nn.Sequential:
    """Perceptrons one after another."""
    return nn.Sequential(
        *(
            Perceptron(before, after, batch_norm)
            for before, after in pairwise((in_features, *widths))
        )
    )


class PointNet(nn.Module):
    """PointNet (arXiv 1612.00593) without transformation nets."""

    def __init__(
        self, widths: Sequence[int] = (64, 64, 64, 128, 1024), batch_norm: bool = True
    ) -> None:
        super().__init__()
        self.perceptrons = mlp(3, widths, batch_norm)
        self.out_features = widths[-1]

    def forward(self, points: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) to (B, out_features)."""
        features: Tensor = self.perceptrons(points)  # (B, N, out_features)
        return features.max(dim=1).values


class EdgeConv(nn.Module):
    """max_j LeakyReLU(BN(W [x_j - x_i ; x_i])) (arXiv 1801.07829), edge by edge."""

    def __init__(self, in_features: int, out_features: int, batch_norm: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * in_features, out_features, bias=not batch_norm)
        self.norm = BatchNorm(out_features) if batch_norm else nn.Identity()

    def forward(self, features: Tensor, neighbors: Tensor) -> Tensor:
        """Convolve ``features`` (B, N, C) along ``neighbors`` (B, N, k) to (B, N, C')."""
        of_neighbors = gather_neighbors(features, neighbors)  # (B, N, k, C)
        centers = features.unsqueeze(2).expand_as(of_neighbors)
        edges = torch.cat([of_neighbors - centers, centers], dim=-1)  # (B, N, k, 2C)
        edges = F.leaky_relu(self.norm(self.linear(edges)), 0.2)
        return edges.max(dim=2).values


class DGCNN(nn.Module):
    """DGCNN (arXiv 1801.07829); the dynamic graph is rebuilt from each layer's features."""

    def __init__(
        self,
        widths: Sequence[int] = (64, 64, 128, 256),
        embedding: int = 1024,
        k: int = 20,
        pooling: Literal["max", "max_mean"] = "max",
        batch_norm: bool = True,
        graph: Literal["dynamic", "static"] = "dynamic",
    ) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            EdgeConv(before, after, batch_norm) for before, after in pairwise((3, *widths))
        )
        self.embedding = Perceptron(sum(widths), embedding, batch_norm, negative_slope=0.2)
        self.k, self.pooling, self.graph = k, pooling, graph
        self.out_features = 2 * embedding if pooling == "max_mean" else embedding

    def forward(self, points: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) to (B, out_features)."""
        features = points
        layers: list[Tensor] = []
        neighbors = k_nearest_neighbors(points, self.k)
        for convolution in self.convolutions:
            if layers and self.graph == "dynamic":
                neighbors = k_nearest_neighbors(features, self.k)
            features = convolution(features, neighbors)
            layers.append(features)
        embedded: Tensor = self.embedding(torch.cat(layers, dim=-1))  # (B, N, embedding)
        pooled = embedded.max(dim=1).values
        if self.pooling == "max":
            return pooled
        return torch.cat([pooled, embedded.mean(dim=1)], dim=-1)


class FoldingNetEncoder(nn.Module):
    """FoldingNet's graph encoder (arXiv 1712.07262) up to the global maximum."""

    def __init__(
        self,
        k: int = 16,
        widths: Sequence[int] = (64, 64, 64),
        graph_widths: Sequence[int] = (128, 1024),
        covariance: bool = True,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.perceptrons = mlp(12 if covariance else 3, widths, batch_norm)
        self.graph_layers = nn.ModuleList(
            Perceptron(before, after, batch_norm)
            for before, after in pairwise((widths[-1], *graph_widths))
        )
        self.k, self.covariance = k, covariance
        self.out_features = graph_widths[-1]

    def forward(self, points: Tensor) -> Tensor:
        """Encode ``points`` (B, N, 3) to (B, out_features)."""
        neighbors = k_nearest_neighbors(points, self.k)
        features = points
        if self.covariance:
            neighborhoods = gather_neighbors(points, neighbors)  # (B, N, k, 3)
            centered = neighborhoods - neighborhoods.mean(dim=2, keepdim=True)
            covariances = torch.matmul(centered.transpose(3, 2), centered) / self.k
            features = torch.cat([points, covariances.flatten(2)], dim=-1)  # (B, N, 12)
        features = self.perceptrons(features)
        for layer in self.graph_layers:
            features = layer(gather_neighbors(features, neighbors).max(dim=2).values)
        pooled: Tensor = features.max(dim=1).values
        return pooled


class Fold(nn.Module):
    """Perceptrons with ReLU on [codeword ; point]."""

    def __init__(self, latent_dim: int, point_dim: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.first = nn.Linear(latent_dim + point_dim, widths[0])
        layers: list[nn.Module] = [nn.ReLU()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.rest = nn.Sequential(*layers, nn.Linear(widths[-1], 3))

    def forward(self, copies: Tensor, points: Tensor) -> Tensor:
        """Fold ``points`` (B, M, D) under ``copies`` (B, M, L) of the codeword to (B, M, 3)."""
        folded: Tensor = self.rest(self.first(torch.cat([copies, points], dim=-1)))
        return folded


class FoldingDecoder(nn.Module):
    """FoldingNet's decoder (arXiv 1712.07262), by default of a 45 x 45 grid.

    ``source_points`` are those of the state dict that is loaded; before, a square grid on
    [-0.3, 0.3]^2.
    """

    source_points: Tensor

    def __init__(
        self,
        latent_dim: int = 512,
        points: int = 45 * 45,
        widths: Sequence[int] = (512, 512),
        folds: int = 2,
    ) -> None:
        super().__init__()
        side = torch.linspace(-0.3, 0.3, round(points**0.5))
        self.register_buffer("source_points", torch.cartesian_prod(side, side))
        self.folds = nn.ModuleList(
            Fold(latent_dim, point_dim, widths) for point_dim in (2, *[3] * (folds - 1))
        )

    def forward(self, latent: Tensor) -> Tensor:
        """Decode ``latent`` (B, L) to clouds (B, M, 3)."""
        batch, count = len(latent), len(self.source_points)
        copies = latent.unsqueeze(1).repeat(1, count, 1)  # (B, M, L)
        points = self.source_points.unsqueeze(0).repeat(batch, 1, 1)  # (B, M, 2)
        for fold in self.folds:
            points = fold(copies, points)
        return points


class Head(nn.Module):
    """Hidden perceptrons, then the linear layer that gives the codeword."""

    def __init__(self, in_features: int, latent_dim: int, widths: Sequence[int] = (512,)) -> None:
        super().__init__()
        self.hidden = mlp(in_features, widths, batch_norm=False)
        self.mean = nn.Linear(widths[-1] if widths else in_features, latent_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Map pooled ``features`` (B, F) to codewords (B, L)."""
        code: Tensor = self.mean(self.hidden(features))
        return code


class AutoEncoder(nn.Module):
    """Cloud to codeword to cloud, with the squared Chamfer distance (sum) as its loss.

    Takes the state dict of a plain auto-encoder, `PointVAE(..., posterior="code")`.
    """

    def __init__(
        self,
        encoder: PointNet | DGCNN | FoldingNetEncoder,
        decoder: FoldingDecoder,
        latent_dim: int = 512,
        head_widths: Sequence[int] = (512,),
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = Head(encoder.out_features, latent_dim, head_widths)
        self.decoder = decoder

    def forward(self, points: Tensor) -> Tensor:
        """The Chamfer distance of each of ``points`` (B, N, 3) to its reconstruction: (B,)."""
        return chamfer_distance(points, self.decoder(self.head(self.encoder(points))))
