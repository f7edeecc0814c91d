"""From configuration to encoder, decoder and likelihood."""

from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic import BaseModel
from torch import nn

from pc_crvae.config import PointModelConfig
from pc_crvae.likelihoods import ChamferLikelihood
from pc_crvae.models.points.dgcnn import DGCNN
from pc_crvae.models.points.encoder import PointEncoder
from pc_crvae.models.points.folding import FoldingDecoder
from pc_crvae.models.points.foldingnet import FoldingNetEncoder
from pc_crvae.models.points.frame_average import FrameAveraged
from pc_crvae.models.points.fully_connected import FullyConnectedDecoder
from pc_crvae.models.points.pointnet import PointNet

ENCODERS: dict[str, Callable[..., PointEncoder]] = {
    "pointnet": PointNet,
    "dgcnn": DGCNN,
    "foldingnet": FoldingNetEncoder,
}
DECODERS: dict[str, Callable[..., nn.Module]] = {
    "folding": FoldingDecoder,
    "fully_connected": FullyConnectedDecoder,
}


def build_encoder(config: PointModelConfig) -> PointEncoder:
    """The encoder, (B, N, 3) to (B, out_features)."""
    encoder = ENCODERS[config.encoder.name](**_arguments(config.encoder))
    return encoder if config.frames is None else FrameAveraged(encoder, config.frames)


def build_decoder(config: PointModelConfig) -> nn.Module:
    """The decoder, (B, latent_dim) to (B, M, 3)."""
    return DECODERS[config.decoder.name](config.latent_dim, **_arguments(config.decoder))


def build_likelihood(config: PointModelConfig) -> Callable[..., ChamferLikelihood]:
    """What makes a likelihood of decoded points (B, M, 3)."""
    return partial(ChamferLikelihood, **_arguments(config.likelihood))


def _arguments(section: BaseModel) -> dict[str, Any]:
    # The schema's fields are the constructors' arguments, by the same names.
    return {name: value for name, value in section if name != "name"}
