"""Descriptors: representations of clouds that need no training."""

from pc_crvae.models.descriptors.bps import BasisPointSet
from pc_crvae.models.descriptors.octant_statistics import OctantStatistics

__all__ = ["BasisPointSet", "OctantStatistics"]
