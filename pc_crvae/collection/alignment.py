"""One shape laid on another: scaled, turned and where asked mirrored, as well as can be.

Poses start from the principal axes of both, in all signs; where a shape is round, so that its axes
are arbitrary, from many turns besides. They are refined by least squares on the distances to the
other's surface, in which what does not match, such as a hole, counts little.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pc_crvae.collection.bodies import Body
from pc_crvae.collection.first_look import HOPELESS, RIVALS, rough_gaps, start_rotations
from pc_crvae.collection.thresholds import NEAR_RMS

_REFINED = 4  # of the starts, the best ones
_FIRST_STEPS, _LAST_STEPS = 6, 20
_FIRST_POINTS, _LAST_POINTS = 120, 500
_FAR = 3 * NEAR_RMS
"""Mean distance, as a share of the diameter, after the first steps, which the last do not mend."""

_SETTLED = 1e-3  # of the usual distance


@dataclass(frozen=True)
class Pose:
    """Where a shape is laid: ``scale * rotation @ x + shift``, in the bodies' own units.

    Attributes:
        scale: above 0.
        rotation: (3, 3), orthogonal; its determinant is -1 where it mirrors.
        shift: (3,).
    """

    scale: float
    rotation: NDArray[np.float64]
    shift: NDArray[np.float64]

    def apply(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (n, 3)."""
        moved: NDArray[np.float64] = self.scale * points @ self.rotation.T + self.shift
        return moved

    def undo(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map points (n, 3) back."""
        moved: NDArray[np.float64] = (points - self.shift) @ self.rotation / self.scale
        return moved

    def scaled_to(self, scale: float) -> Self:
        """Return the pose with another scale, about the same centre."""
        return replace(self, scale=scale)


class Residual(NamedTuple):
    """How far two shapes lie apart, as shares of the diameter.

    Attributes:
        raw: root mean square distance of points of either from the other.
        rms: the part of it beyond that of two draws of one cloud; for surfaces, all of it.
        farthest: the largest of the distances.
        middle: what half of the points lie within, beyond the gaps of a cloud.
    """

    raw: float
    rms: float
    farthest: float
    middle: float


def align(first: Body, second: Body, *, mirrored: bool) -> Pose | None:
    """Find the pose that lays the first best on the second; None if none comes near."""
    rotations = start_rotations(first.outline, second.outline, mirrored=mirrored)
    rough = rough_gaps(rotations, first.outline, second.outline)
    if rough.min() > HOPELESS:
        return None
    starts = [k for k in np.argsort(rough, kind="stable") if rough[k] < rough.min() + RIVALS]
    tried = [
        refine(Pose(1.0, rotations[k], np.zeros(3)), first, second, _FIRST_POINTS, _FIRST_STEPS)
        for k in starts[:_REFINED]
    ]
    points = first.samples[:_FIRST_POINTS]
    gaps = [float(second.closest(pose.apply(points)).distances.mean()) for pose in tried]
    if min(gaps) > second.floor + _FAR * second.diameter:
        return None
    return refine(tried[int(np.argmin(gaps))], first, second, _LAST_POINTS, _LAST_STEPS)


def refine(pose: Pose, first: Body, second: Body, points: int, steps: int) -> Pose:
    """Move a pose downhill, by Gauss-Newton steps on the distances of points of the first.

    Args:
        pose: the pose to start from.
        first: the body that is laid.
        second: the body that it is laid on.
        points: the number of points of the first that are compared.
        steps: the most steps that are taken.
    """
    source = first.samples[:points]
    parts = None
    for _ in range(steps):
        moved = pose.apply(source)
        distances, places, normals, parts = second.closest(moved, parts)
        usual = max(1.5 * float(np.median(distances)), 1e-12)
        weights = 1 / (1 + np.square(distances / usual))
        if normals is None:
            directions = np.tile(np.eye(3), (len(moved), 1))
            moved, places, weights = (
                np.repeat(part, 3, axis=0) for part in (moved, places, weights)
            )
        else:
            far = distances > 1e-8
            directions = np.where(
                far[:, None], (moved - places) / np.maximum(distances, 1e-30)[:, None], normals
            )
        step = _solve(moved, moved - places, directions, weights)
        pose = _stepped(pose, step)
        if np.abs(step).max() <= _SETTLED * usual:
            break
    return pose


def _solve(
    moved: NDArray[np.float64],
    offsets: NDArray[np.float64],
    directions: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The turn (3), shift (3) and relative growth that shrink the offsets along directions most."""
    rows = np.concatenate(
        [
            np.cross(moved, directions),
            directions,
            (moved * directions).sum(axis=1, keepdims=True),
        ],
        axis=1,
    )
    misses = (offsets * directions).sum(axis=1)
    weighted = rows * weights[:, None]
    normal = weighted.T @ rows
    # What a round or flat shape leaves open stays as it is.
    normal += np.eye(7) * (1e-7 * np.trace(normal) / 7 + 1e-30)
    step: NDArray[np.float64] = np.linalg.solve(normal, -weighted.T @ misses)
    largest = float(np.abs(step).max())
    return step * min(1.0, 0.3 / max(largest, 1e-30))


def _stepped(pose: Pose, step: NDArray[np.float64]) -> Pose:
    turn = Rotation.from_rotvec(step[:3]).as_matrix()
    growth = 1 + float(step[6])
    shift = growth * turn @ pose.shift + step[3:6]
    return Pose(pose.scale * growth, turn @ pose.rotation, shift)


def is_far(pose: Pose, first: Body, second: Body) -> bool:
    """Whether a look at a few points is enough to say that a pose leaves them far apart."""
    distances = second.closest(pose.apply(first.samples[:_FIRST_POINTS])).distances
    return float(distances.mean()) > second.floor + _FAR * second.diameter


def residual(pose: Pose, first: Body, second: Body) -> Residual:
    """Measure how far the first, laid by a pose, and the second lie apart, looked at both ways."""
    there = second.closest(pose.apply(first.samples)).distances
    back = first.closest(pose.undo(second.samples)).distances * pose.scale
    squares = [float(np.square(found).mean()) for found in (there, back)]
    gaps = [second.floor, first.floor * pose.scale]
    beyond = [max(0.0, square - gap**2) for square, gap in zip(squares, gaps, strict=True)]
    middles = [float(np.median(found)) for found in (there, back)]
    return Residual(
        raw=float(np.sqrt(np.mean(squares))) / second.diameter,
        rms=float(np.sqrt(np.mean(beyond))) / second.diameter,
        farthest=float(max(there.max(), back.max())) / second.diameter,
        middle=max(max(0.0, middle - gap) for middle, gap in zip(middles, gaps, strict=True))
        / second.diameter,
    )
