"""The parts of the schema that are about point clouds."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pc_crvae.config.sections import (
    DecodedPoints,
    Fraction,
    HeadConfig,
    NonNegative,
    PositiveInt,
    Section,
    Widths,
    rising,
)


class RotateZConfig(Section):
    """Rotation about the vertical."""

    name: Literal["rotate_z"]
    max_degrees: float = Field(180.0, ge=0, le=180)


class RotateAboutRandomAxisConfig(Section):
    """Rotation about a random axis by a bounded angle."""

    name: Literal["rotate_about_random_axis"]
    max_degrees: float = Field(15.0, ge=0, le=180)


class RotateSO3Config(Section):
    """A uniformly random rotation."""

    name: Literal["rotate_so3"]
    probability: Fraction = 1.0


class JitterConfig(Section):
    """Gaussian noise on every point, clipped."""

    name: Literal["jitter"]
    sigma: NonNegative = 0.01
    clip: NonNegative = 0.05


class SubsampleConfig(Section):
    """A random share of the points, one share per batch."""

    name: Literal["subsample"]
    min_fraction: float = Field(0.5, gt=0, le=1)
    max_fraction: float = Field(1.0, gt=0, le=1)

    _ordered = rising("min_fraction", "max_fraction")


class DropLocalRegionConfig(Section):
    """A region about a random point left out."""

    name: Literal["drop_local_region"]
    max_fraction: float = Field(0.25, ge=0, lt=1)


class ScaleAnisotropicConfig(Section):
    """A random factor for each axis."""

    name: Literal["scale_anisotropic"]
    low: float = Field(0.8, gt=0)
    high: float = Field(1.25, gt=0)

    _ordered = rising("low", "high")


class TranslateConfig(Section):
    """A random offset of the whole cloud."""

    name: Literal["translate"]
    max_offset: NonNegative = 0.1


PointTransformConfig = Annotated[
    RotateZConfig
    | RotateAboutRandomAxisConfig
    | RotateSO3Config
    | JitterConfig
    | SubsampleConfig
    | DropLocalRegionConfig
    | ScaleAnisotropicConfig
    | TranslateConfig,
    Field(discriminator="name"),
]


class PointNetConfig(Section):
    """PointNet: a perceptron shared by the points, then a maximum (arXiv 1612.00593)."""

    name: Literal["pointnet"]
    widths: Widths = (64, 64, 64, 128, 1024)
    batch_norm: bool = True


class DGCNNConfig(Section):
    """DGCNN: edge convolutions on nearest-neighbour graphs (arXiv 1801.07829)."""

    name: Literal["dgcnn"]
    widths: Widths = (64, 64, 128, 256)
    embedding: PositiveInt = 1024
    k: PositiveInt = 20
    pooling: Literal["max", "max_mean"] = "max"
    graph: Literal["dynamic", "static"] = "dynamic"
    """dynamic: rebuilt from each layer's features; static: of the points"""
    batch_norm: bool = True


class FoldingNetEncoderConfig(Section):
    """FoldingNet's graph encoder (arXiv 1712.07262)."""

    name: Literal["foldingnet"]
    k: PositiveInt = 16
    widths: Widths = (64, 64, 64)
    graph_widths: Widths = (128, 1024)
    covariance: bool = True
    """local covariances beside the coordinates"""
    batch_norm: bool = False


class OctantPointNetConfig(Section):
    """A PointNet that also sees the local geometry about each point, as octant means."""

    name: Literal["octant_pointnet"]
    shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (
        1 / 32,
    )
    """shares of a cloud's points that are a point's neighbours, rising"""
    widths: Widths = (64, 128, 1024)
    batch_norm: bool = True
    region_width: int = Field(0, ge=0)
    """channels of maxima over each of nine regions; 0: only over the whole"""


EncoderConfig = Annotated[
    PointNetConfig | DGCNNConfig | FoldingNetEncoderConfig | OctantPointNetConfig,
    Field(discriminator="name"),
]


class FoldingDecoderConfig(Section):
    """Folding: points of a fixed source moved by perceptrons that see the codeword."""

    name: Literal["folding"]
    source: Literal["plane", "sphere", "gaussian"] = "plane"
    points: DecodedPoints = 2025
    widths: Widths = (512, 512)
    folds: PositiveInt = 2

    @model_validator(mode="after")
    def _makes_a_grid(self) -> Self:
        factors = any(self.points % rows == 0 for rows in range(2, math.isqrt(self.points) + 1))
        if self.source == "plane" and not factors:
            raise ValueError(
                f"{self.points} points make no grid: take a number that factors, such as "
                "2025 = 45 x 45, or another source"
            )
        return self


class FullyConnectedDecoderConfig(Section):
    """A perceptron that emits every coordinate: the control."""

    name: Literal["fully_connected"]
    points: DecodedPoints = 1024
    widths: Widths = (512, 1024)


DecoderConfig = Annotated[
    FoldingDecoderConfig | FullyConnectedDecoderConfig, Field(discriminator="name")
]


class ChamferLikelihoodConfig(Section):
    """log p(x|z) = -scale * Chamfer distance, in nats a cloud."""

    scale: float = Field(1e6, gt=0)
    """nats per unit of distance: points / (4 sigma^2) if squared and sum"""
    squared: bool = True
    """square the nearest distances"""
    directions: Literal["sum", "mean", "max"] = "sum"


class PointModelConfig(Section):
    """An encoder, a decoder and what joins them, for point clouds."""

    name: Literal["point_vae"] = "point_vae"
    encoder: EncoderConfig = Field(PointNetConfig(name="pointnet"))
    frames: Literal["z", "so3"] | None = None
    """features are means over a cloud's principal frames, so that rotations about the vertical (z)
    or any (so3) change nothing where the axes are told apart; 2 or 4 passes of the encoder (arXiv
    2110.03336). How a shape was rotated cannot be decoded then: for shapes that all face one way,
    with consistency.target original"""
    head: HeadConfig = HeadConfig()
    latent_dim: PositiveInt = 256
    embedding: Literal["mean", "pooled"] = "mean"
    """what a shape is embedded as: the posterior's mean, or the pooled features before the head,
    which tell more of a model that is trained by contrast"""
    decoder: DecoderConfig = Field(FoldingDecoderConfig(name="folding"))
    likelihood: ChamferLikelihoodConfig = ChamferLikelihoodConfig()

    @property
    def passes_of_frames(self) -> int:
        """How often the encoder sees a cloud."""
        return {None: 1, "z": 2, "so3": 4}[self.frames]
