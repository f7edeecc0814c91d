"""Encoders and decoders of images; any encoder goes with any decoder and any likelihood.

Encoders map images (B, C, H, W) to features (B, out_features), decoders map latents
(B, latent_dim) to a likelihood's parameters (B, C', H, W).
"""

from pc_crvae.models.images.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from pc_crvae.models.images.mlp import MLPDecoder, MLPEncoder

__all__ = ["ConvolutionalDecoder", "ConvolutionalEncoder", "MLPDecoder", "MLPEncoder"]
