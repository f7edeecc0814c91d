"""Functions on batches of points: distances, neighbours, sampling, rotations."""

from pc_crvae.geometry.basis_points import basis_points, distances_to_clouds
from pc_crvae.geometry.chamfer import Directions, chamfer_distance
from pc_crvae.geometry.frames import RotationGroup, principal_frames
from pc_crvae.geometry.gather import gather_points
from pc_crvae.geometry.neighborhoods import Moments, NeighborPool, edge_moments, pool_neighbors
from pc_crvae.geometry.neighbors import (
    k_nearest_neighbors,
    mutual_nearest_neighbors,
    nearest_neighbors,
)
from pc_crvae.geometry.octants import octant_means, octant_means_of_views
from pc_crvae.geometry.regions import regions_of
from pc_crvae.geometry.rotations import (
    rotate,
    rotation_about_axis,
    rotation_about_z,
    rotation_from_quaternion,
)
from pc_crvae.geometry.sampling import farthest_point_sampling

__all__ = [
    "Directions",
    "Moments",
    "NeighborPool",
    "RotationGroup",
    "basis_points",
    "chamfer_distance",
    "distances_to_clouds",
    "edge_moments",
    "farthest_point_sampling",
    "gather_points",
    "k_nearest_neighbors",
    "mutual_nearest_neighbors",
    "nearest_neighbors",
    "octant_means",
    "octant_means_of_views",
    "pool_neighbors",
    "principal_frames",
    "regions_of",
    "rotate",
    "rotation_about_axis",
    "rotation_about_z",
    "rotation_from_quaternion",
]
