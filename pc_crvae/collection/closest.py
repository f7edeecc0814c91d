"""The points of a triangle mesh that are closest to given points, exactly."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.surface_sampling import Mesh
from pc_crvae.geometry.kernels.cpu.parallel import compiled

_BLOCK = 16
"""Triangles that share a box; the search skips the boxes that are farther than what it has."""

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
        starts = np.arange(0, len(mesh), _BLOCK)
        low = np.minimum.reduceat(self.mesh.min(axis=1), starts, axis=0)
        high = np.maximum.reduceat(self.mesh.max(axis=1), starts, axis=0)
        self._boxes = np.ascontiguousarray(np.concatenate([low, high], axis=1))

    def closest(self, points: NDArray[np.float64]) -> Closest:
        """Find the closest point of the surface to each of ``points`` (n, 3)."""
        points = np.ascontiguousarray(points, dtype=np.float64)
        squares = np.empty(len(points))
        places = np.empty((len(points), 3))
        triangles = np.empty(len(points), dtype=np.int64)
        _search(points, self.mesh, self._boxes, _BLOCK, squares, places, triangles)
        return Closest(np.sqrt(squares), places, triangles)


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


@compiled
def _search(
    points: NDArray[np.float64],
    mesh: NDArray[np.float64],
    boxes: NDArray[np.float64],
    block: int,
    squares: NDArray[np.float64],
    places: NDArray[np.float64],
    triangles: NDArray[np.int64],
) -> None:
    """Fill squared distances, closest points and triangles of ``points``."""
    away = np.empty(len(boxes))
    offset = np.empty(3)
    for n in range(len(points)):
        x, y, z = points[n]
        nearest = 0
        for b in range(len(boxes)):
            dx = max(boxes[b, 0] - x, 0.0, x - boxes[b, 3])
            dy = max(boxes[b, 1] - y, 0.0, y - boxes[b, 4])
            dz = max(boxes[b, 2] - z, 0.0, z - boxes[b, 5])
            away[b] = dx * dx + dy * dy + dz * dz
            if away[b] < away[nearest]:
                nearest = b
        best = np.inf
        # The nearest box is looked into first, so that most of the others can be skipped.
        for turn in range(len(boxes) + 1):
            b = nearest if turn == 0 else turn - 1
            if away[b] >= best or (turn > 0 and b == nearest):
                continue
            for t in range(b * block, min((b + 1) * block, len(mesh))):
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
                offset[0] = px - first * ux - second * vx
                offset[1] = py - first * uy - second * vy
                offset[2] = pz - first * uz - second * vz
                square = offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2
                if square < best:
                    best = square
                    triangles[n] = t
                    for axis in range(3):
                        places[n, axis] = points[n, axis] - offset[axis]
        squares[n] = best
