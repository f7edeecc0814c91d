"""The points of a triangle mesh that are closest to given points, exactly; and points laid on it.

All that is compiled stands in this file, as :func:`~pc_crvae.utils.compiling.compiled` asks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pc_crvae.collection.poses import Pose
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

    def closest(self, points: NDArray[np.float64]) -> Closest:
        """Find the closest point of the surface to each of some points (n, 3)."""
        points = np.ascontiguousarray(points, dtype=np.float64)
        squares = np.empty(len(points))
        places = np.empty((len(points), 3))
        triangles = self._guesses(points)
        _search(points, self.mesh, self._boxes, self._groups, squares, places, triangles)
        return Closest(np.sqrt(squares), places, triangles)

    def descend(self, points: NDArray[np.float64], pose: Pose, steps: int) -> Pose:
        """Move a pose downhill, by Gauss-Newton steps on the distances of points to the surface.

        Args:
            points: (n, 3) that the pose lays on the surface; those that are far count little.
            pose: the pose to start from.
            steps: the most steps that are taken.
        """
        points = np.ascontiguousarray(points, dtype=np.float64)
        triangles = self._guesses(pose.apply(points))
        rotation, shift = pose.rotation.copy(), pose.shift.copy()
        surface = self.mesh, self.normals, self._boxes, self._groups
        scale = _descend(points, triangles, *surface, pose.scale, rotation, shift, steps)
        return Pose(scale, rotation, shift)

    def _guesses(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        """Triangles (n,) that are likely to be near, which only makes the search quicker."""
        found: NDArray[np.int64] = self._middle[self._tree.query(points)[1]]
        return found


def descend_to_points(points: NDArray[np.float64], tree: cKDTree, pose: Pose, steps: int) -> Pose:
    """As :meth:`TriangleSearch.descend`, to the points of a cloud, which ``tree`` holds."""
    rotation, shift, scale = pose.rotation.copy(), pose.shift.copy(), pose.scale
    targets = np.asarray(tree.data)
    for _ in range(steps):
        moved = Pose(scale, rotation, shift).apply(points)
        distances, rows = tree.query(moved)
        squares, no_normals = np.square(distances), np.empty((0, 3))
        scale, is_settled = _step(
            moved, targets[rows], no_normals, rows, squares, scale, rotation, shift
        )
        if is_settled:
            break
    return Pose(scale, rotation, shift)


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
        dx, beyond = boxes[0, b] - x, x - boxes[3, b]
        dx = dx if dx > beyond else beyond
        dx = dx if dx > 0.0 else 0.0
        dy, beyond = boxes[1, b] - y, y - boxes[4, b]
        dy = dy if dy > beyond else beyond
        dy = dy if dy > 0.0 else 0.0
        dz, beyond = boxes[2, b] - z, z - boxes[5, b]
        dz = dz if dz > beyond else beyond
        dz = dz if dz > 0.0 else 0.0
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
def _descend(
    points: NDArray[np.float64],
    triangles: NDArray[np.int64],
    mesh: NDArray[np.float64],
    normals: NDArray[np.float64],
    boxes: NDArray[np.float64],
    groups: NDArray[np.float64],
    scale: float,
    rotation: NDArray[np.float64],
    shift: NDArray[np.float64],
    steps: int,
) -> float:
    """Move a pose, of which ``rotation`` and ``shift`` are changed and the scale is returned."""
    moved, places = np.empty((len(points), 3)), np.empty((len(points), 3))
    squares = np.empty(len(points))
    for _ in range(steps):
        for n in range(len(points)):
            for i in range(3):
                inner = 0.0
                for j in range(3):
                    inner += rotation[i, j] * points[n, j]
                moved[n, i] = scale * inner + shift[i]
        _search(moved, mesh, boxes, groups, squares, places, triangles)
        scale, is_settled = _step(
            moved, places, normals, triangles, squares, scale, rotation, shift
        )
        if is_settled:
            break
    return scale


@compiled
def _step(
    moved: NDArray[np.float64],
    places: NDArray[np.float64],
    normals: NDArray[np.float64],
    parts: NDArray[np.int64],
    squares: NDArray[np.float64],
    scale: float,
    rotation: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> tuple[float, bool]:
    """Change a pose by one step that brings ``moved`` nearer to ``places``.

    ``parts`` are rows of ``normals``; where there are none, all ways from the places count.
    Returns the scale, and whether the step was so small that no other is worth while.
    """
    products, misses, row = np.zeros((7, 7)), np.zeros(7), np.empty(7)
    usual = max(1.5 * np.sqrt(np.median(squares)), 1e-12)
    ways = 1 if len(normals) else 3
    for n in range(len(moved)):
        x, y, z = moved[n, 0], moved[n, 1], moved[n, 2]
        dx, dy, dz = x - places[n, 0], y - places[n, 1], z - places[n, 2]
        distance = np.sqrt(squares[n])
        weight = 1 / (1 + squares[n] / usual**2)
        for way in range(ways):
            if ways == 3:
                a = 1.0 if way == 0 else 0.0
                b = 1.0 if way == 1 else 0.0
                c = 1.0 if way == 2 else 0.0
            elif distance > _TOUCHING:
                a, b, c = dx / distance, dy / distance, dz / distance
            else:
                t = parts[n]
                a, b, c = normals[t, 0], normals[t, 1], normals[t, 2]
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
    _move(step, rotation, shift)
    return scale * (1 + step[6]), min(largest, _LARGEST_STEP) <= _SETTLED * usual


@compiled
def _move(
    step: NDArray[np.float64], rotation: NDArray[np.float64], shift: NDArray[np.float64]
) -> None:
    """Turn a pose by the first three of a step (7,), grow it by the last and then shift it."""
    x, y, z = step[0], step[1], step[2]
    angle = np.sqrt(x * x + y * y + z * z)
    # Rodrigues; of a vanishing angle, sin(a) / a is 1 and (1 - cos(a)) / a^2 is 1 / 2.
    straight, bend = 1.0, 0.5
    if angle > 1e-6:
        straight, bend = np.sin(angle) / angle, 2 * (np.sin(angle / 2) / angle) ** 2
    turn = np.empty((3, 3))
    square = angle * angle
    turn[0] = 1 + bend * (x * x - square), bend * x * y - straight * z, bend * x * z + straight * y
    turn[1] = bend * x * y + straight * z, 1 + bend * (y * y - square), bend * y * z - straight * x
    turn[2] = bend * x * z - straight * y, bend * y * z + straight * x, 1 + bend * (z * z - square)
    rotation[:] = turn @ rotation
    shift[:] = (1 + step[6]) * (turn @ shift) + step[3:6]
