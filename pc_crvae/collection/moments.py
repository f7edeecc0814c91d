"""The first integrals over a shape, and what of them no movement changes."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.surface_sampling import Mesh, face_vectors


class Moments(NamedTuple):
    """The first integrals over a surface, or means over a cloud's points.

    Attributes:
        area: the area of the surface; 0 of a cloud.
        center: (3,) the centroid.
        covariance: (3, 3) the mean of products of coordinates about it.
    """

    area: float
    center: NDArray[np.float64]
    covariance: NDArray[np.float64]


def moments_of_mesh(mesh: Mesh) -> Moments:
    """Integrate over triangles (T, 3, 3) exactly, so that a new triangulation changes nothing."""
    low = mesh.min(axis=(0, 1))
    size = float(np.ptp(mesh, axis=(0, 1)).max()) or 1.0
    near = (mesh - low) / size  # so that squares of far and huge shapes stay in range
    areas = np.linalg.norm(face_vectors(near), axis=1) / 2
    total = float(areas.sum())
    middles = near.mean(axis=1)
    center = areas @ middles / total
    corners, middles = near - center, middles - center
    # The integral of x x^T over a triangle is A / 12 (9 g g^T + a a^T + b b^T + c c^T).
    squares = 9 * np.einsum("t,ti,tj->ij", areas, middles, middles)
    squares += np.einsum("t,tci,tcj->ij", areas, corners, corners)
    return Moments(total * size**2, center * size + low, squares / (12 * total) * size**2)


def moments_of_cloud(points: NDArray[np.float64]) -> Moments:
    """Average over the points (N, 3) of a cloud."""
    center = points.mean(axis=0)
    centered = points - center
    return Moments(0.0, center, centered.T @ centered / len(points))


def size_of(moments: Moments) -> float:
    """Root mean square distance from the centroid."""
    return float(np.sqrt(np.trace(moments.covariance)))


def invariants(moments: Moments) -> NDArray[np.float64]:
    """Return four numbers that moving, turning, mirroring and scaling leave as they are.

    The spreads along the principal axes, by the root of their squares' sum, rising; and how much
    area there is for that size: 0 of clouds.
    """
    values = np.maximum(np.linalg.eigvalsh(moments.covariance), 0)
    total = float(values.sum())
    fullness = np.sqrt(moments.area / total) / 10 if moments.area else 0.0
    found: NDArray[np.float64] = np.append(np.sqrt(values / total), fullness)
    return found
