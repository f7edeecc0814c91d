"""Meshes whose comparison is known beforehand."""

import numpy as np
import trimesh

from pc_crvae.collection.bodies import CloudBody, SurfaceBody

TURN = trimesh.transformations.rotation_matrix(0.9, (1, 2, -1))[:3, :3]


def bracket(length=3.0):
    """Three unlike boxes off one another's axes: no mirror image of it is turned into it."""
    boxes = [
        ((length, 1.0, 0.4), (0, 0, 0)),
        ((0.5, 0.7, 1.9), (length / 2, 0.2, 0.8)),
        ((0.3, 1.6, 0.3), (-0.8, 1.1, 0.3)),
    ]
    parts = []
    for extents, place in boxes:
        part = trimesh.creation.box(extents)
        part.apply_translation(place)
        parts.append(part)
    return trimesh.util.concatenate(parts)


def triangles(mesh):
    return np.asarray(mesh.triangles, dtype=np.float64)


def body(corners):
    return SurfaceBody(np.asarray(corners, dtype=np.float64))


def cloud(mesh, count, seed):
    return np.asarray(trimesh.sample.sample_surface(mesh, count, seed=seed)[0])


def cloud_body(points):
    return CloudBody(np.asarray(points, dtype=np.float64))
