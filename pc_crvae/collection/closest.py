"""The points of a triangle mesh that are closest to given points, exactly; and a step towards them.

All that is compiled stands in this file, as :func:`~pc_crvae.utils.compiling.compiled` asks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pc_crvae.data.surface_sampling import Mesh, face_vectors
from pc_crvae.utils.compiling import compiled, inlined

_GROUP = 64
"""Triangles that share a box; the search skips what is farther than what it has."""

_BETWEEN_CENTERS = 4
"""Of so many triangles one has its centre in the tree."""

_LEAST = 1e-300  # of the area of a triangle that has a direction

_TOUCHING = 1e-8
"""Distance below which the way to the closest point is no direction: the normal is one."""

_LARGEST_STEP = 0.3
_SETTLED = 1e-3  # of the usual distance

_BITS = 10  # a coordinate, of the curve along which triangles are put in order


class Closest(NamedTuple):
    """What of a surface or a cloud is closest to each of some points.

    Attributes:
        distances: (n,) to it.
        places: (n, 3) the closest points.
        parts: (n,) the triangles that these lie on, or which points they are.
        normals: (n, 3) of these triangles; (0, 3) of a cloud, which has none.
    """

    distances: NDArray[np.float64]
    places: NDArray[np.float64]
    parts: NDArray[np.int64]
    normals: NDArray[np.float64]


class TriangleSearch:
    """A mesh made ready to be asked for closest points.

    Args:
        mesh: (T, 3, 3) triangles, T above 0, in any order; kept along a space-filling curve.

    Attributes:
        mesh: the triangles in the order that answers name them by.
        normals: (T, 3) of them, of length 1; 0 where a triangle has no area.
        areas: (T,) of them.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = np.ascontiguousarray(mesh[_along_a_curve(mesh.mean(axis=1))])
        first, second, third = self.mesh.transpose(1, 0, 2)
        low = np.minimum(np.minimum(first, second), third)
        high = np.maximum(np.maximum(first, second), third)
        self._boxes = _in_groups(low, high)
        starts = np.arange(0, len(low), _GROUP)
        corners = [np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)]
        self._groups = np.ascontiguousarray(np.concatenate(corners, axis=1).T)
        vectors = face_vectors(self.mesh)
        lengths = np.linalg.norm(vectors, axis=1)
        self.normals = vectors / np.maximum(lengths, _LEAST)[:, None]
        self.areas = lengths / 2
        # Of some triangles, the one whose centre is nearest is a good first guess.
        starts = np.arange(0, len(mesh), _BETWEEN_CENTERS)
        self._middle = np.minimum(starts + _BETWEEN_CENTERS // 2, len(mesh) - 1)
        self._tree = cKDTree(self.mesh[self._middle].mean(axis=1))

    def closest(
        self, points: NDArray[np.float64], near: NDArray[np.int64] | None = None
    ) -> Closest:
        """Find the closest point of the surface to each of some points.

        Args:
            points: (n, 3).
            near: (n,) triangles that are likely to be near, which makes the search quicker.
        """
        points = np.ascontiguousarray(points, dtype=np.float64)
        squares = np.empty(len(points))
        places = np.empty((len(points), 3))
        guesses = self._middle[self._tree.query(points)[1]] if near is None else near.copy()
        _search(points, self.mesh, self._boxes, self._groups, squares, places, guesses)
        return Closest(np.sqrt(squares), places, guesses, self.normals[guesses])


def _in_groups(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """The boxes of triangles, by their corners (T, 3), side by side in groups: (G, 6, `_GROUP`).

    What the last group lacks is infinitely far.
    """
    count = -(-len(low) // _GROUP)
    boxes = np.full((count * _GROUP, 6), np.inf)
    boxes[: len(low), :3], boxes[: len(low), 3:] = low, high
    return np.ascontiguousarray(boxes.reshape(count, _GROUP, 6).transpose(0, 2, 1))


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
def _fill_away(
    away: NDArray[np.float64], boxes: NDArray[np.float64], x: float, y: float, z: float
) -> None:
    """Fill the squared distances (n,) of a point from boxes (6, n), several at a time."""
    for b in range(len(away)):
        dx = max(boxes[0, b] - x, x - boxes[3, b], 0.0)
        dy = max(boxes[1, b] - y, y - boxes[4, b], 0.0)
        dz = max(boxes[2, b] - z, z - boxes[5, b], 0.0)
        away[b] = dx * dx + dy * dy + dz * dz


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
    mesh: NDArray[np.float64],
    boxes: NDArray[np.float64],
    groups: NDArray[np.float64],
    squares: NDArray[np.float64],
    places: NDArray[np.float64],
    triangles: NDArray[np.int64],
) -> None:
    """Fill squared distances, closest points and triangles of ``points``.

    ``triangles`` holds one for each that is likely to be near.
    """
    away, near = np.empty(groups.shape[1]), np.empty(_GROUP)
    for n in range(len(points)):
        x, y, z = points[n]
        # A triangle that is likely to be near is looked at first, so that most can be skipped.
        t = triangles[n]
        dx, dy, dz = _offset(mesh, t, x, y, z)
        best = dx * dx + dy * dy + dz * dz
        places[n, 0], places[n, 1], places[n, 2] = x - dx, y - dy, z - dz
        _fill_away(away, groups, x, y, z)
        own = t // _GROUP
        for turn in range(len(away) + 1):
            g = own if turn == 0 else turn - 1
            if away[g] >= best or (turn > 0 and g == own):
                continue
            _fill_away(near, boxes[g], x, y, z)
            for k in range(min(_GROUP, len(mesh) - g * _GROUP)):
                if near[k] >= best:
                    continue
                t = g * _GROUP + k
                dx, dy, dz = _offset(mesh, t, x, y, z)
                square = dx * dx + dy * dy + dz * dz
                if square < best:
                    best = square
                    triangles[n] = t
                    places[n, 0], places[n, 1], places[n, 2] = x - dx, y - dy, z - dz
        squares[n] = best


@compiled
def step_towards(
    points: NDArray[np.float64],
    distances: NDArray[np.float64],
    places: NDArray[np.float64],
    normals: NDArray[np.float64],
) -> tuple[NDArray[np.floating], bool]:
    """Find the Gauss-Newton step that brings points nearer to their closest places.

    Args:
        points: (n, 3); those that are far count little.
        distances: (n,) of the closest places.
        places: (n, 3).
        normals: (n, 3) of the surface; (0, 3): all ways from the places count.

    Returns:
        The step (7,): a rotation vector, a shift, and the growth of the scale; and whether it is so
        small that no other is worth while.
    """
    products, misses, row = np.zeros((7, 7)), np.zeros(7), np.empty(7)
    squares = distances * distances
    usual = max(1.5 * np.sqrt(np.median(squares)), 1e-12)
    ways = 1 if len(normals) else 3
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        dx, dy, dz = x - places[n, 0], y - places[n, 1], z - places[n, 2]
        distance = distances[n]
        weight = 1 / (1 + squares[n] / usual**2)
        for way in range(ways):
            if ways == 3:
                a = 1.0 if way == 0 else 0.0
                b = 1.0 if way == 1 else 0.0
                c = 1.0 if way == 2 else 0.0
            elif distance > _TOUCHING:
                a, b, c = dx / distance, dy / distance, dz / distance
            else:
                a, b, c = normals[n, 0], normals[n, 1], normals[n, 2]
            row[0], row[1], row[2] = y * c - z * b, z * a - x * c, x * b - y * a
            row[3], row[4], row[5] = a, b, c
            row[6] = x * a + y * b + z * c
            miss = dx * a + dy * b + dz * c
            for i in range(7):
                scaled = weight * row[i]
                misses[i] -= scaled * miss
                for j in range(i + 1):
                    products[i, j] += scaled * row[j]
    trace = 0.0
    for i in range(7):
        trace += products[i, i]
        for j in range(i):
            products[j, i] = products[i, j]
    for i in range(7):  # so that what a round or flat shape leaves open stays as it is
        products[i, i] += 1e-7 * trace / 7 + 1e-30
    step = np.linalg.solve(products, misses)
    largest = np.abs(step).max()
    step *= min(1.0, _LARGEST_STEP / max(largest, 1e-30))
    return step, min(largest, _LARGEST_STEP) <= _SETTLED * usual
