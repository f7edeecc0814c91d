"""Two shapes compared by their geometry: whether they are the same, and how one lies to another."""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import numpy as np

from pc_crvae.collection import thresholds
from pc_crvae.collection.alignment import Residual, align, is_far, residual
from pc_crvae.collection.bodies import Body
from pc_crvae.collection.poses import Pose

Kind = Literal["same file", "same geometry", "scaled", "turned", "mirrored", "near"]
"""What a pair is; ``mirrored`` is a class of its own and no duplicate."""

KINDS: tuple[Kind, ...] = get_args(Kind)
EXACT: frozenset[Kind] = frozenset({"same file", "same geometry", "scaled", "turned"})


_ABOUT = 1.2
"""Fits that leave so many times as much are about as good."""

_HARDLY = 1.5
"""A fit that leaves so many times as much as near-copies do is not mended by another scale."""


@dataclass(frozen=True)
class Comparison:
    """How a second shape lies to a first one.

    Attributes:
        kind: the relation of the two; ``scaled`` may be turned besides.
        scale: the size of the second as a multiple of the first's.
        degrees: the angle that it is turned by; for symmetric shapes one of those that fit.
        on_side: whether what is up in the first lies level, or below, in the second.
        apart: root mean square distance when one is laid on the other, as a share of the
            diameter; 0 of the same file.
        farthest: the largest distance that was found, as a share of the diameter.
    """

    kind: Kind
    scale: float = 1.0
    degrees: float = 0.0
    on_side: bool = False
    apart: float = 0.0
    farthest: float = 0.0


class _Fit(NamedTuple):
    pose: Pose
    left: Residual

    @property
    def is_close(self) -> bool:
        return self.left.rms <= thresholds.NEAR_RMS

    @property
    def is_near(self) -> bool:
        """Whether the two are close, and differ by a little all over, or in one place alone."""
        left = self.left
        is_all_over = left.farthest <= max(thresholds.ALL_OVER * left.raw, thresholds.NEAR_RMS)
        stands_out = left.farthest >= thresholds.IN_ONE_PLACE * left.raw
        is_in_one_place = stands_out and left.middle <= thresholds.EXACT_FARTHEST
        return self.is_close and (is_all_over or is_in_one_place)


def compare(first: Body, second: Body) -> Comparison | None:
    """Say what a second shape is to a first; None where they are not even near."""
    as_it_is = Pose(1.0, np.eye(3), np.zeros(3))
    upright = None
    if not is_far(as_it_is, first, second):
        upright = _Fit(as_it_is, residual(as_it_is, first, second))
        if _is_exact(upright, first, second):
            return _described(upright, first, second, exact=True)
    proper = _better(_fitted(first, second, mirrored=False), upright)
    if proper is not None and _is_exact(proper, first, second):
        return _described(proper, first, second, exact=True)
    mirrored = _fitted(first, second, mirrored=True)
    if mirrored is not None and mirrored.is_close:
        limit = np.inf if proper is None else thresholds.CLEARLY_BETTER * proper.left.rms
        if mirrored.left.rms < limit:
            return _described(mirrored, first, second, exact=False)
    if proper is None or not proper.is_near:
        return None
    return _described(proper, first, second, exact=False)


def _better(proper: _Fit | None, upright: _Fit | None) -> _Fit | None:
    """The better fit, and of fits that are about as good the one that turns nothing."""
    if proper is None or upright is None:
        return proper or upright
    return upright if upright.left.rms <= _ABOUT * proper.left.rms else proper


def _fitted(first: Body, second: Body, *, mirrored: bool) -> _Fit | None:
    pose = align(first, second, mirrored=mirrored)
    if pose is None:
        return None
    found = _Fit(pose, residual(pose, first, second))
    if found.left.rms > _HARDLY * thresholds.NEAR_RMS:
        return found
    # What does not match, such as a hole, shifts the size a little: a plain ratio is likelier.
    likely = _likely_scale(_scale(found, first, second))
    if likely is not None:
        there = replace(pose, scale=likely * first.size / second.size)
        plain = _Fit(there, residual(there, first, second))
        if plain.left.rms <= 1.05 * found.left.rms + thresholds.EXACT_RMS:
            return plain
    return found


def _likely_scale(scale: float) -> float | None:
    """The ratio of two units of length, or 1, that a scale is within 3 % of."""
    for ratio in (1.0, *thresholds.UNIT_RATIOS):
        for likely in (ratio, 1 / ratio):
            if abs(scale / likely - 1) < 0.03:
                return likely
    return None


def _is_exact(fit: _Fit, first: Body, second: Body) -> bool:
    areas = first.area * fit.pose.scale**2, second.area
    same_area = abs(areas[0] - areas[1]) <= thresholds.EXACT_AREA * max(*areas, 1e-300)
    lies_on = fit.left.raw <= thresholds.EXACT_RMS
    return same_area and lies_on and fit.left.farthest <= thresholds.EXACT_FARTHEST


def _scale(fit: _Fit, first: Body, second: Body) -> float:
    return fit.pose.scale * second.size / first.size


def _described(fit: _Fit, first: Body, second: Body, *, exact: bool) -> Comparison:
    scale = _scale(fit, first, second)
    turn = fit.pose.rotation
    is_mirrored = bool(np.linalg.det(turn) < 0)
    degrees = 0.0
    if not is_mirrored:
        degrees = float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    kind: Kind
    if is_mirrored:
        kind = "mirrored"
    elif not exact:
        kind = "near"
    elif abs(scale - 1) > thresholds.SAME_SCALE:
        kind = "scaled"
    else:
        kind = "turned" if degrees > thresholds.SAME_ANGLE else "same geometry"
    on_side = bool(turn[2, 2] < np.cos(np.radians(45)))
    return Comparison(kind, scale, degrees, on_side, apart=fit.left.rms, farthest=fit.left.farthest)
