"""Latents: posteriors and priors, chains of them, statistics, and paths between codes."""

from pc_crvae.latents.interpolation import interpolate_latents
from pc_crvae.latents.posteriors import DiagonalGaussian, LatentChain, LatentPath, PointMass

__all__ = ["DiagonalGaussian", "LatentChain", "LatentPath", "PointMass", "interpolate_latents"]
