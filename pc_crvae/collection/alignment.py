"""One shape laid on another: scaled, turned and where asked mirrored, as well as can be.

Poses start from the principal axes of both, in all signs; where a shape is round, so that its axes
are arbitrary, from many turns besides. They are refined by least squares on the distances to the
other's surface, in which what does not match, such as a hole, counts little.
"""

from typing import NamedTuple

import numpy as np

from pc_crvae.collection.bodies import Body
from pc_crvae.collection.first_look import HOPELESS, RIVALS, rough_gaps, start_rotations
from pc_crvae.collection.poses import Pose
from pc_crvae.collection.thresholds import NEAR_RMS

_REFINED = 4  # of the starts, the best ones
_FIRST_STEPS, _LAST_STEPS = 6, 20
_FIRST_POINTS, _LAST_POINTS = 120, 500
_FAR = 3 * NEAR_RMS
"""Mean distance, as a share of the diameter, after the first steps, which the last do not mend."""

_SOON, _STILL_FAR = 5, 0.9 * NEAR_RMS
"""And after so many of the last ones. Of 43 near-copies that are found (``benchmarks.near --seed
101``) none lay more than half a `NEAR_RMS` away as early as after the first steps. More than half
of the pairs that are none lay farther."""


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
    few, many = first.samples[:_FIRST_POINTS], first.samples[:_LAST_POINTS]
    poses = [Pose(1.0, rotations[k], np.zeros(3)) for k in starts[:_REFINED]]
    tried = [second.descend(few, pose, _FIRST_STEPS) for pose in poses]
    gaps = [_gap(pose, first, second, _FIRST_POINTS) for pose in tried]
    if min(gaps) > _FAR:
        return None
    best = second.descend(many, tried[int(np.argmin(gaps))], _SOON)
    if _gap(best, first, second, _LAST_POINTS) > _STILL_FAR:
        return None
    return second.descend(many, best, _LAST_STEPS - _SOON)


def is_far(pose: Pose, first: Body, second: Body) -> bool:
    """Whether a look at a few points is enough to say that a pose leaves them far apart."""
    return _gap(pose, first, second, _FIRST_POINTS) > _FAR


def _gap(pose: Pose, first: Body, second: Body, points: int) -> float:
    """Mean distance of some points of the first, beyond a cloud's floor, by the diameter."""
    distances = second.closest(pose.apply(first.samples[:points])).distances
    return (float(distances.mean()) - second.floor) / second.diameter


def residual(pose: Pose, first: Body, second: Body) -> Residual:
    """Measure how far the first, laid by a pose, and the second lie apart, looked at both ways."""
    there = second.closest(pose.apply(first.samples)).distances
    back = first.closest(pose.undo(second.samples)).distances * pose.scale
    squares = [float(np.square(found).mean()) for found in (there, back)]
    gaps = [second.floor, first.floor * pose.scale]
    beyond = [max(0.0, square - gap**2) for square, gap in zip(squares, gaps, strict=True)]
    middles = [float(np.median(found)) for found in (there, back)]
    raw, rms = float(np.sqrt(np.mean(squares))), float(np.sqrt(np.mean(beyond)))
    farthest = float(max(there.max(), back.max()))
    middle = max(max(0.0, middle - gap) for middle, gap in zip(middles, gaps, strict=True))
    return Residual(*(apart / second.diameter for apart in (raw, rms, farthest, middle)))
