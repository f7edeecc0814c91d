"""The points of a triangle mesh that are closest to given points, exactly."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pc_crvae.data.surface_sampling import Mesh
from pc_crvae.utils.compiling import compiled, inlined

_BLOCK = 4
"""Triangles that share a box; the search skips the boxes that are farther than what it has."""

_GROUP = 16
"""Boxes that share a larger one."""

_BITS = 10  # a coordinate, of the curve along which triangles are put in order


class Closest(NamedTuple):
    """What of a surface is closest to each of some points.

    Attributes:
        distances: (n,) to the surface.
        places: (n, 3) the closest points.
        triangles: (n,) the triangles that these lie on.
    """

    distances: NDArray[np.float64]
    places: NDArray[np.float64]
    triangles: NDArray[np.int64]


class TriangleSearch:
    """A mesh made ready to be asked for closest points.

    Args:
        mesh: (T, 3, 3) triangles, T above 0, in any order; kept along a space-filling curve.

    Attributes:
        mesh: the triangles in the order that answers name them by.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = np.ascontiguousarray(mesh[_along_a_curve(mesh.mean(axis=1))])
        low, high = self.mesh.min(axis=1), self.mesh.max(axis=1)
        self._boxes = _boxes_of(low, high, _BLOCK)
        self._groups = _boxes_of(self._boxes[:, :3], self._boxes[:, 3:], _GROUP)
        # One triangle of each block: the one whose centre is nearest is a good first guess.
        middle = np.minimum(np.arange(len(self._boxes)) * _BLOCK + _BLOCK // 2, len(mesh) - 1)
        self._middle = middle
        self._tree = cKDTree(self.mesh[middle].mean(axis=1))

    def closest(
        self, points: NDArray[np.float64], guesses: NDArray[np.int64] | None = None
    ) -> Closest:
        """Find the closest point of the surface to each of some points.

        Args:
            points: (n, 3).
            guesses: (n,) triangles that are likely to be near, which only makes it quicker.
        """
        points = np.ascontiguousarray(points, dtype=np.float64)
        if guesses is None:
            guesses = self._middle[self._tree.query(points)[1]]
        squares = np.empty(len(points))
        places = np.empty((len(points), 3))
        triangles = np.empty(len(points), dtype=np.int64)
        found = (squares, places, triangles)
        _search(points, guesses, self.mesh, self._boxes, self._groups, *found)
        return Closest(np.sqrt(squares), places, triangles)


def _boxes_of(
    low: NDArray[np.float64], high: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """The boxes (ceil(n / size), 6) around so many boxes (n, 3) at a time, by their corners."""
    starts = np.arange(0, len(low), size)
    corners = [np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)]
    return np.ascontiguousarray(np.concatenate(corners, axis=1))


def _along_a_curve(centers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Put points in the order of Morton's curve, on which neighbours in space are neighbours."""
    low = centers.min(axis=0)
    size = np.ptp(centers, axis=0).max() or 1.0
    cells = ((centers - low) / size * (2**_BITS - 1)).astype(np.int64)
    codes = np.zeros(len(centers), dtype=np.int64)
    for bit in range(_BITS):
        for axis in range(3):
            codes |= ((cells[:, axis] >> bit) & 1) << (3 * bit + axis)
    return np.argsort(codes, kind="stable")


@inlined
def _away(boxes: NDArray[np.float64], b: int, x: float, y: float, z: float) -> float:
    """The squared distance of a point from a box."""
    dx = max(boxes[b, 0] - x, 0.0, x - boxes[b, 3])
    dy = max(boxes[b, 1] - y, 0.0, y - boxes[b, 4])
    dz = max(boxes[b, 2] - z, 0.0, z - boxes[b, 5])
    square: float = dx * dx + dy * dy + dz * dz
    return square


@inlined
def _offset(
    mesh: NDArray[np.float64], t: int, x: float, y: float, z: float
) -> tuple[float, float, float]:
    """The way from the closest point of a triangle to a point."""
    ax, ay, az = mesh[t, 0]
    ux, uy, uz = mesh[t, 1, 0] - ax, mesh[t, 1, 1] - ay, mesh[t, 1, 2] - az
    vx, vy, vz = mesh[t, 2, 0] - ax, mesh[t, 2, 1] - ay, mesh[t, 2, 2] - az
    px, py, pz = x - ax, y - ay, z - az
    uu = ux * ux + uy * uy + uz * uz
    uv = ux * vx + uy * vy + uz * vz
    vv = vx * vx + vy * vy + vz * vz
    pu = px * ux + py * uy + pz * uz
    pv = px * vx + py * vy + pz * vz
    size = uu * vv - uv * uv
    # Shares of the two sides in the foot of the perpendicular.
    s, r = vv * pu - uv * pv, uu * pv - uv * pu
    if s >= 0 and r >= 0 and s + r <= size and size > 0:
        first, second = s / size, r / size
    else:
        # Outside, the closest point lies on one of the three edges.
        first, second = 0.0, 0.0
        least = np.inf
        for edge in range(3):
            if edge == 0:
                k = min(max(pu / uu, 0.0), 1.0) if uu > 0 else 0.0
                i, j = k, 0.0
            elif edge == 1:
                k = min(max(pv / vv, 0.0), 1.0) if vv > 0 else 0.0
                i, j = 0.0, k
            else:
                length = uu - 2 * uv + vv
                along = (pv - pu) - (uv - uu)
                k = min(max(along / length, 0.0), 1.0) if length > 0 else 0.0
                i, j = 1 - k, k
            dx = px - i * ux - j * vx
            dy = py - i * uy - j * vy
            dz = pz - i * uz - j * vz
            square = dx * dx + dy * dy + dz * dz
            if square < least:
                least, first, second = square, i, j
    return (
        px - first * ux - second * vx,
        py - first * uy - second * vy,
        pz - first * uz - second * vz,
    )


@compiled
def _search(
    points: NDArray[np.float64],
    guesses: NDArray[np.int64],
    mesh: NDArray[np.float64],
    boxes: NDArray[np.float64],
    groups: NDArray[np.float64],
    squares: NDArray[np.float64],
    places: NDArray[np.float64],
    triangles: NDArray[np.int64],
) -> None:
    """Fill squared distances, closest points and triangles of ``points``."""
    away = np.empty(len(groups))
    for n in range(len(points)):
        x, y, z = points[n]
        # A triangle that is likely to be near is looked at first, so that most can be skipped.
        t = guesses[n]
        dx, dy, dz = _offset(mesh, t, x, y, z)
        best = dx * dx + dy * dy + dz * dz
        triangles[n] = t
        places[n, 0], places[n, 1], places[n, 2] = x - dx, y - dy, z - dz
        nearest = 0
        for g in range(len(groups)):
            away[g] = _away(groups, g, x, y, z)
            if away[g] < away[nearest]:
                nearest = g
        for turn in range(len(groups) + 1):
            g = nearest if turn == 0 else turn - 1
            if away[g] >= best or (turn > 0 and g == nearest):
                continue
            for b in range(g * _GROUP, min((g + 1) * _GROUP, len(boxes))):
                if _away(boxes, b, x, y, z) >= best:
                    continue
                for t in range(b * _BLOCK, min((b + 1) * _BLOCK, len(mesh))):
                    dx, dy, dz = _offset(mesh, t, x, y, z)
                    square = dx * dx + dy * dy + dz * dz
                    if square < best:
                        best = square
                        triangles[n] = t
                        places[n, 0], places[n, 1], places[n, 2] = x - dx, y - dy, z - dz
        squares[n] = best
