"""The first integrals over a shape, and what of them no movement changes."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.surface_sampling import Mesh, surface_areas


class Moments(NamedTuple):
    """The first integrals over a surface, or means over a cloud's points.

    Attributes:
        area: the area of the surface; 0 of a cloud.
        center: (3,) the centroid.
        covariance: (3, 3) the mean of products of coordinates about it.
        skewness: (3,) the mean of ``|x|^2 x`` about it, with `size_of` the shape as the unit.
        kurtosis: (3, 3) the mean of ``|x|^2 x x^T`` about it, in the same unit.
    """

    area: float
    center: NDArray[np.float64]
    covariance: NDArray[np.float64]
    skewness: NDArray[np.float64]
    kurtosis: NDArray[np.float64]


def _rule() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares (6, 3) of a triangle's corners in six places, and the weights (6,) of these.

    Over a triangle, polynomials up to the fourth degree are integrated exactly (Dunavant 1985).
    """
    shares, weights = [], []
    inner, outer = np.sqrt(38 - 44 * np.sqrt(0.4)), np.sqrt(213125 - 53320 * np.sqrt(10))
    for sign in (1, -1):
        share = (8 - np.sqrt(10) + sign * inner) / 18
        shares.append(np.full((3, 3), share) + np.eye(3) * (1 - 3 * share))
        weights.append(np.full(3, (620 + sign * outer) / 3720))
    return np.concatenate(shares), np.concatenate(weights)


_SHARES, _WEIGHTS = _rule()


def moments_of_mesh(mesh: Mesh) -> Moments:
    """Integrate over triangles (T, 3, 3) exactly, so that a new triangulation changes nothing."""
    columns = np.ascontiguousarray(mesh.transpose(2, 1, 0))  # much quicker to go through
    low, high = columns.min(axis=(1, 2)), columns.max(axis=(1, 2))
    size = float((high - low).max()) or 1.0
    columns = (columns - low[:, None, None]) / size  # so that squares of huge shapes stay in range
    areas = surface_areas((mesh - low) / size)
    total = float(areas.sum())
    places = _SHARES @ columns
    found = _means(places.reshape(3, -1), np.outer(_WEIGHTS, areas / total).ravel())
    center, covariance = found.center * size + low, found.covariance * size**2
    return found._replace(area=total * size**2, center=center, covariance=covariance)


def moments_of_cloud(points: NDArray[np.float64]) -> Moments:
    """Average over the points (N, 3) of a cloud."""
    return _means(np.ascontiguousarray(points.T), np.full(len(points), 1 / len(points)))


def _means(columns: NDArray[np.float64], weights: NDArray[np.float64]) -> Moments:
    """The moments of points of no area, x, y and z in rows (3, N), by weights (N,) of sum 1."""
    center = columns @ weights
    centered = columns - center[:, None]
    covariance = (centered * weights) @ centered.T
    unit = float(np.sqrt(np.trace(covariance))) or 1.0
    centered /= unit
    weighted = centered * (weights * np.einsum("an,an->n", centered, centered))
    return Moments(0.0, center, covariance, weighted.sum(axis=1), weighted @ centered.T)


def values_of_moments(moments: Moments) -> list[Any]:
    """Return moments as plain values, which :func:`moments_of_values` reads."""
    return [moments.area, *(part.tolist() for part in moments[1:])]


def moments_of_values(values: list[Any]) -> Moments:
    """Read what :func:`values_of_moments` gave."""
    return Moments(values[0], *map(np.array, values[1:]))


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
    return np.append(np.sqrt(values / total), fullness)


def finer_invariants(moments: Moments) -> NDArray[np.float64]:
    """Return five more such numbers: how lopsided a shape is, and how far its parts lie out.

    The length of the skewness, as it is and along the spreads; and the roots of the kurtosis's
    eigenvalues, rising.
    """
    skewness = moments.skewness
    along = skewness @ moments.covariance @ skewness / max(size_of(moments) ** 2, 1e-300)
    values = np.maximum(np.linalg.eigvalsh(moments.kurtosis), 0)
    return np.sqrt([skewness @ skewness, max(along, 0.0), *values])
