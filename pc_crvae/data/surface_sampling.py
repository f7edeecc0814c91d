"""Points drawn uniformly from the surface of a triangle mesh.

A mesh is a triangle soup: nothing here needs shared vertices, orientation or watertightness.
Degenerate triangles are harmless, because a triangle is chosen in proportion to its area.
"""

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.lengths import lengths

Mesh = NDArray[np.float64]
"""Triangles (T, 3, 3): triangle, corner, coordinate."""


def face_vectors(mesh: Mesh) -> NDArray[np.float64]:
    """Cross product of two edges of each triangle (T, 3): its normal, twice its area long."""
    return np.cross(mesh[:, 1] - mesh[:, 0], mesh[:, 2] - mesh[:, 0])


def surface_areas(mesh: Mesh) -> NDArray[np.float64]:
    """Area of each triangle (T,)."""
    return lengths(face_vectors(mesh)) / 2


def sample_surface(mesh: Mesh, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw ``count`` points (count, 3) independently and uniformly by area.

    A triangle is chosen with probability proportional to its area, the point in it by the
    square-root map of two uniforms (Osada et al., "Shape distributions", 2002, section 4.1).

    Raises:
        ValueError: the mesh has no area, or none that is finite.
    """
    return sample_faces(mesh, surface_areas(mesh), count, rng)[0]


def sample_faces(
    mesh: Mesh, areas: NDArray[np.float64], count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """As :func:`sample_surface`, for whoever has the areas (T,) and wants to know the triangles.

    Returns:
        The points (count, 3) and the triangle that each lies on (count,).

    Raises:
        ValueError: the mesh has no area, or none that is finite.
    """
    total = areas.sum()
    if not 0 < total < np.inf:
        raise ValueError(
            f"a mesh of {len(mesh)} triangles and an area of {total:g} has no surface to sample"
        )
    chosen = rng.choice(len(mesh), size=count, p=areas / total)
    corners = np.take(mesh, chosen, axis=0)
    root, along = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    points = (1 - root) * corners[:, 0] + root * (1 - along) * corners[:, 1]
    points += root * along * corners[:, 2]
    return points, chosen
