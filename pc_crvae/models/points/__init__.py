"""Encoders and decoders of point clouds; any encoder goes with any decoder.

Encoders map points (B, N, 3) to pooled features (B, out_features), decoders map latents
(B, latent_dim) to clouds (B, out_points, 3).
"""

from pc_crvae.models.points.dgcnn import DGCNN, EdgeConv
from pc_crvae.models.points.encoder import PointEncoder, Pooling
from pc_crvae.models.points.folding import FoldingDecoder
from pc_crvae.models.points.foldingnet import FoldingNetEncoder
from pc_crvae.models.points.frame_average import FrameAveraged
from pc_crvae.models.points.fully_connected import FullyConnectedDecoder
from pc_crvae.models.points.octant_pointnet import OctantPointNet
from pc_crvae.models.points.pointnet import PointNet

__all__ = [
    "DGCNN",
    "EdgeConv",
    "FoldingDecoder",
    "FoldingNetEncoder",
    "FrameAveraged",
    "FullyConnectedDecoder",
    "OctantPointNet",
    "PointEncoder",
    "PointNet",
    "Pooling",
]
