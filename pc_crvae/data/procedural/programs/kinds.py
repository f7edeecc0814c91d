"""A part of a random kind and form, to fill a box of given size."""

import math

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.procedural.programs import parts
from pc_crvae.data.procedural.programs.chance import Chance
from pc_crvae.data.procedural.programs.parts import Part
from pc_crvae.data.procedural.programs.rows import MOST_KNOTS

Vector = list[float]

X, Y, Z = 0, 1, 2

ROUND = ("frustum", "torus", "revolution", "prism")
"""Kinds that have an axis, which is z until they are laid down."""

_ONTO = {
    X: np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
    Y: np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
    Z: np.eye(3),
}
"""Rotations that take the z axis onto another one, and all axes onto axes."""

_LYING, _CIRCULAR = 0.3, 0.75

_OPENINGS: dict[tuple[int, ...], float] = {
    (5,): 0.36,
    (1,): 0.26,
    (4,): 0.1,
    (1, 5): 0.08,
    (0, 1): 0.1,
    (2, 3): 0.1,
}
"""Faces that a shell lacks: the top, the front, and so on."""


def random_part(chance: Chance, kind: str, half: Vector) -> Part:
    """Draw a part of a kind, about the origin.

    Args:
        chance: makes the choices.
        kind: such as ``box``.
        half: (3,) half-sizes; changed where the kind has to be rounder or flatter than they are.
    """
    if kind == "ellipsoid":
        return parts.ellipsoid().scaled(half)
    if kind == "shell":
        return parts.box(chance.weighted(_OPENINGS)).scaled(half)
    if kind == "field":
        return parts.field(_random_height(chance)).scaled(half)
    if kind not in ROUND:
        return parts.box().scaled(half)
    axis = _axis(chance, half)
    across = [each for each in (X, Y, Z) if each != axis]
    if chance.happens(_CIRCULAR):
        half[across[0]] = half[across[1]] = math.sqrt(half[across[0]] * half[across[1]])
    if kind == "torus":
        width = chance.log_uniform(0.06, 0.6)
        if chance.happens(0.8):
            half[axis] = math.sqrt(half[across[0]] * half[across[1]]) * width / (1 + width)
        unit = parts.torus(width)
    elif kind == "frustum":
        unit = parts.frustum(*_radii(chance))
    elif kind == "prism":
        sides = chance.weighted({3: 0.25, 4: 0.1, 5: 0.15, 6: 0.35, 7: 0.15})
        phase = chance.one_of((0.0, math.pi / sides, math.pi / 2))
        unit = parts.prism(sides, phase, *_radii(chance))
    else:
        unit = _random_revolution(chance)
    return unit.copied(_ONTO[axis][None], np.zeros((1, 3))).scaled(half)


def tilt(chance: Chance) -> NDArray[np.float64]:
    """Draw a rotation (3, 3) by up to 35 degrees about a level axis, mostly x or y."""
    angle = math.radians(chance.uniform(4, 35)) * chance.sign()
    cos, sin = math.cos(angle), math.sin(angle)
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    heading = chance.weighted({0.0: 0.4, math.pi / 2: 0.4, -1.0: 0.2})
    to_axis = about_z(heading if heading >= 0 else chance.uniform(0, 2 * math.pi))
    about_axis: NDArray[np.float64] = to_axis @ about_x @ to_axis.T
    return about_axis


def about_z(angle: float) -> NDArray[np.float64]:
    """The rotation (3, 3) about the vertical by an angle in radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _axis(chance: Chance, half: Vector) -> int:
    """The long axis of a bar, the thin one of a plate, and otherwise mostly the vertical."""
    low, middle, high = sorted(range(3), key=lambda axis: half[axis])
    if half[high] > 3 * half[middle]:
        return high
    if half[low] < 0.35 * half[middle] and chance.happens(0.7):
        return low
    return chance.one_of((X, Y)) if chance.happens(_LYING) else Z


def _radii(chance: Chance) -> tuple[float, float]:
    """The radii at the foot and at the top of a frustum or prism; the larger is 1."""
    if chance.happens(0.55):
        return 1.0, 1.0
    smaller = 0.0 if chance.happens(0.15) else chance.uniform(0.3, 1.0)
    return (1.0, smaller) if chance.happens(0.6) else (smaller, 1.0)


def _random_height(chance: Chance) -> list[float]:
    """The numbers of a height field: two waves, or one."""
    first = chance.uniform(0.1, 0.35)
    second = chance.uniform(0.05, 0.12) if chance.happens(0.6) else 0.0
    height = [1 - first - second]
    for amplitude in (first, second):
        height += [amplitude, *(chance.uniform(-1.3, 1.3) for _ in range(2))]
        height.append(chance.uniform(0, 2 * math.pi))
    return height


def _random_revolution(chance: Chance) -> Part:
    """A turned solid, a stepped one, a dome or a vessel, whose largest radius is 1."""
    form = chance.weighted({"turned": 0.35, "stepped": 0.25, "dome": 0.15, "vessel": 0.25})
    if form == "stepped":
        steps = chance.integer(2, 5)
        levels = sorted(chance.uniform(-0.9, 0.9) for _ in range(steps - 1))
        radii = [chance.log_uniform(0.25, 1.0) for _ in range(steps)]
        heights = [-1.0, *(level for level in levels for _ in range(2)), 1.0]
        radii = [radius for radius in radii for _ in range(2)]
    elif form == "dome":
        power = chance.uniform(0.35, 1.0)
        heights = [-1 + 2 * math.sin(math.pi / 2 * k / 9) for k in range(10)]
        radii = [math.cos(math.pi / 2 * k / 9) ** power for k in range(10)]
        radii[-1] = 0.0
    else:
        knots = [chance.log_uniform(0.25, 1.0) for _ in range(chance.integer(3, 5))]
        heights = [-1 + 2 * k / (MOST_KNOTS - 2) for k in range(MOST_KNOTS - 1)]
        radii = [_smooth(knots, (z + 1) / 2) for z in heights]
    largest = max(radii)
    radii = [radius / largest for radius in radii]
    if form == "vessel":
        heights, radii = [-1.0, *heights], [0.0, *radii]
    return parts.revolution(heights, radii, closed=form != "vessel")


def _smooth(knots: Vector, share: float) -> float:
    """The knots' values joined by halves of cosines, at a share of the way."""
    at = share * (len(knots) - 1)
    before = min(int(at), len(knots) - 2)
    weight = (1 - math.cos(math.pi * (at - before))) / 2
    return (1 - weight) * knots[before] + weight * knots[before + 1]
