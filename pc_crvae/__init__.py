"""Consistency-regularised variational auto-encoders for 3D shapes and images."""

from pc_crvae.api import embed, explore, load, load_mesh, probe, search, train
from pc_crvae.version import __version__

__all__ = ["__version__", "embed", "explore", "load", "load_mesh", "probe", "search", "train"]
