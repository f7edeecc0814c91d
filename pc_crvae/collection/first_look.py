"""A first look at two shapes, by a few points of each: whether they may be near at all.

Of most pairs it spares the reading of both files, and the exact comparison.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from pc_crvae.collection.closest_points import closest_points
from pc_crvae.collection.moments import Moments, size_of
from pc_crvae.collection.thresholds import NEAR_RMS

_ROUND = 0.06
"""Spreads that differ by less, of the largest, may belong to axes that mean nothing."""

_TURNS = 12
"""Turns about the axis of a round shape that poses start from."""

_ROUGH_POINTS = 150
RIVALS = 0.015
"""Starts whose rough distance is larger than the least by more are left alone."""

HOPELESS = 0.05
"""Mean rough distance, above that of two draws of the same surface, from which no pose recovers: of
25 shapes with noise of 0.5 % and 25 with a hole more it was 0.03 and 0.01 at most."""

_COARSE_POINTS = 40
_LOOKED_AT = 12
"""Starts of a handedness that are looked at with all rough points, the best by a few of them."""

_FOLLOWED = 2  # of the starts of a handedness
_STEPS, _STEP_POINTS = 5, 192

_SPREAD_OF_GAPS = 1.1
"""How many times as large as usual the gaps between two draws may be, and"""

_SLACK = 1.5
"""how many times as far as near-copies two shapes may lie, that are worth a comparison: of 54
near-copies (planted with seed 5, and those of 500 procedural shapes) one was lost by this look,
which five in six of the other pairs did not pass."""

_SIGNS = np.array([[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)])


class Outline:
    """As much of a body as tells quickly whether another may be like it.

    Args:
        moments: the shape's moments.
        points: (R, 3) drawn of it, in units of its own: see `Body`.

    Attributes:
        axes: (3, 3) principal axes in columns, by rising spread.
        spreads: (3,) along them, their squares' sum 1.
        points: (R, 3).
        diameter: twice the distance of the farthest point from the centroid.
        gap: mean distance of a point from another draw of so many.
        square_gap: the mean square of it.
    """

    def __init__(self, moments: Moments, points: NDArray[np.floating]) -> None:
        values, self.axes = np.linalg.eigh(moments.covariance)
        self.spreads = np.sqrt(np.maximum(values, 0)) / size_of(moments)
        self.points = np.asarray(points, dtype=np.float64)
        half = len(self.points) // 2
        nearest, _ = cKDTree(self.points).query(self.points, k=min(2, len(self.points)))
        own = nearest.reshape(len(self.points), -1)[:, -1]
        self.square_gap = float(np.square(own).mean())
        self.diameter = 2 * float(np.linalg.norm(self.points, axis=1).max())
        # Of two halves, a point lies as far from the other as from another draw of its size, and
        # as the square root of the number farther than from one twice as large.
        other, _ = closest_points(self.points[: max(half, 1)], self.points[half:])
        self.gap = float(other.mean()) * np.sqrt(max(len(self.points) - half, 1) / len(self.points))

    def nearest(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distances of points (n, 3) from the nearest of this one's (n,), and their rows."""
        return closest_points(points, self.points)


def start_rotations(first: Outline, second: Outline, *, mirrored: bool) -> NDArray[np.float64]:
    """Rotations (k, 3, 3), reflected ones if asked, that may take the first to the second."""
    handedness = np.linalg.det(first.axes) * np.linalg.det(second.axes) * _SIGNS.prod(axis=1)
    signs = _SIGNS[(handedness < 0) == mirrored]
    frames = np.einsum("ij,sj,kj->sik", second.axes, signs, first.axes)
    turns = _ambiguous_turns(second)
    found: NDArray[np.float64] = np.einsum("tij,sjk->tsik", turns, frames).reshape(-1, 3, 3)
    return found


def _ambiguous_turns(shape: Outline) -> NDArray[np.float64]:
    """Turns (t, 3, 3) that its spreads hardly tell apart, the one that is none first."""
    low, middle, high = shape.spreads
    first, last = middle - low < _ROUND * high, high - middle < _ROUND * high
    if first and last:
        some = Rotation.random(8, rng=np.random.default_rng(0))
        group = Rotation.create_group("O")
        turns = [group.as_matrix(), *((one * group).as_matrix() for one in some)]
        return np.concatenate(turns)
    if not first and not last:
        return np.eye(3)[None]
    axis = shape.axes[:, 2 if first else 0]
    angles = np.arange(_TURNS) * (2 * np.pi / _TURNS)
    found: NDArray[np.float64] = Rotation.from_rotvec(angles[:, None] * axis).as_matrix()
    return found


def rough_gaps(
    rotations: NDArray[np.float64], first: Outline, second: Outline, count: int = _ROUGH_POINTS
) -> NDArray[np.float64]:
    """Mean distances (k,) of points of the first from the second by rotations, beyond gaps.

    Args:
        rotations: (k, 3, 3).
        first: the outline that is turned.
        second: the outline that it is laid on.
        count: the number of points.
    """
    points = first.points[:count]
    moved = np.einsum("kij,nj->kni", rotations, points)
    distances = second.nearest(moved.reshape(-1, 3))[0].reshape(len(rotations), -1)
    gaps: NDArray[np.float64] = distances.mean(axis=1) - second.gap
    return gaps


def may_be_near(first: Outline, second: Outline) -> bool:
    """Whether one pose of either handedness at least is worth a closer look."""
    starts = []
    for mirrored in (False, True):
        rotations = start_rotations(first, second, mirrored=mirrored)
        if len(rotations) > _LOOKED_AT:
            coarse = rough_gaps(rotations, first, second, _COARSE_POINTS)
            rotations = rotations[np.argsort(coarse, kind="stable")[:_LOOKED_AT]]
        rough = rough_gaps(rotations, first, second)
        followed = np.argsort(rough, kind="stable")[:_FOLLOWED]
        starts += [(float(rough[k]), rotations[k]) for k in followed]
    least = min(gap for gap, _ in starts)
    if least >= HOPELESS:
        return False
    limit = (first.square_gap + second.square_gap) / 2 * _SPREAD_OF_GAPS**2
    limit += (_SLACK * NEAR_RMS * min(first.diameter, second.diameter)) ** 2
    starts.sort(key=lambda start: start[0])
    best = [rotation for gap, rotation in starts if gap <= least + RIVALS]
    return any(_lies_within(limit, rotation, first, second) for rotation in best)


def _lies_within(
    limit: float, rotation: NDArray[np.float64], first: Outline, second: Outline
) -> bool:
    """Whether the first, moved on from a rotation, has at most so large a mean square distance."""
    rotation, shift = _settled(rotation, first, second)
    there = np.square(second.nearest(first.points @ rotation.T + shift)[0]).mean()
    if there > 2 * limit:
        return False
    back = np.square(first.nearest((second.points - shift) @ rotation)[0]).mean()
    return bool(there + back <= 2 * limit)


def _settled(
    rotation: NDArray[np.float64], first: Outline, second: Outline
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation (3, 3), of the same handedness, and shift (3,) that bring points to their nearest.

    By iterated closest points (Besl and McKay 1992), in which far ones count little.
    """
    source = first.points[:_STEP_POINTS]
    handedness = np.sign(np.linalg.det(rotation))
    shift = np.zeros(3)
    for _ in range(_STEPS):
        distances, rows = second.nearest(source @ rotation.T + shift)
        targets = second.points[rows]
        weights = 1 / (1 + np.square(distances / (2 * _median(distances) + 1e-12)))
        weights /= weights.sum()
        middle, aim = weights @ source, weights @ targets
        left, _, right = np.linalg.svd((source - middle).T @ ((targets - aim) * weights[:, None]))
        flip = np.ones(3)
        flip[2] = handedness * np.sign(np.linalg.det(left @ right))
        rotation = (right.T * flip) @ left.T
        shift = aim - rotation @ middle
    return rotation, shift


def _median(values: NDArray[np.float64]) -> float:
    """The median of values (n,); numpy's own takes ten times as long for so few."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (low, high))
    return (float(ordered[low]) + float(ordered[high])) / 2
