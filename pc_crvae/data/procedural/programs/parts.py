"""The parts that programs are made of: each fills the cube [-1, 1]^3 until it is sized."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pc_crvae.data.procedural.programs.rows import (
    MOST_KNOTS,
    NUMBERS,
    ORIGIN,
    OWNER,
    PATCH_WIDTH,
    SOLID_WIDTH,
    VECTORS,
    Patch,
    Solid,
)

Rows = NDArray[np.float64]
_Vector = tuple[float, float, float]

_NONE: _Vector = (0.0, 0.0, 0.0)
_X: _Vector = (1.0, 0.0, 0.0)
_Y: _Vector = (0.0, 1.0, 0.0)
_Z: _Vector = (0.0, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Part:
    """Surfaces and, where the part is solid, what they enclose.

    Attributes:
        patches: (K, PATCH_WIDTH) float64; an owner is a row of ``solids``, or -1.
        solids: (S, SOLID_WIDTH) float64; none of a bare sheet.
    """

    patches: Rows
    solids: Rows

    def scaled(self, half: ArrayLike) -> "Part":
        """Half as long along each axis as ``half`` (3,) says, where it filled the cube."""
        factors = np.concatenate([half] * 4)
        patches, solids = self.patches.copy(), self.solids.copy()
        patches[:, VECTORS] *= factors
        solids[:, VECTORS] *= factors
        return Part(patches, solids)

    def copied(self, matrices: NDArray[np.float64], offsets: NDArray[np.float64]) -> "Part":
        """One part of several copies, number i being ``matrices[i] @ p + offsets[i]``.

        Args:
            matrices: (c, 3, 3), orthogonal.
            offsets: (c, 3).
        """
        patches = _copied(self.patches, matrices, offsets)
        owners = patches[:, :, OWNER]
        first = np.arange(len(offsets))[:, None] * len(self.solids)
        owners += np.where(owners >= 0, first, 0)
        solids = _copied(self.solids, matrices, offsets)
        return Part(patches.reshape(-1, PATCH_WIDTH), solids.reshape(-1, SOLID_WIDTH))


def joined(parts: Sequence[Part]) -> Part:
    """One part of several, whose solids keep their order."""
    patches = np.concatenate([part.patches for part in parts])
    firsts = np.cumsum([0, *(len(part.solids) for part in parts[:-1])])
    first = np.repeat(firsts, [len(part.patches) for part in parts])
    patches[:, OWNER] += np.where(patches[:, OWNER] >= 0, first, 0)
    return Part(patches, np.concatenate([part.solids for part in parts]))


@cache
def box(missing: tuple[int, ...] = ()) -> Part:
    """A solid box, or a shell: its faces without those ``missing``: -x, +x, -y, +y, -z, +z."""
    rows = []
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        for side in (-1.0, 1.0):
            corner, a, b = [-1.0] * 3, [0.0] * 3, [0.0] * 3
            corner[axis], a[first], b[second] = side, 2.0, 2.0
            rows.append(_patch(Patch.PARALLELOGRAM, corner, a, b, _NONE))
    if missing:
        return _sheet([row for face, row in enumerate(rows) if face not in missing])
    return Part(np.array(rows), _solid(Solid.BOX))


def frustum(foot: float, top: float) -> Part:
    """An elliptic cylinder or cone about z; the larger of its two radii is 1."""
    side = _patch(Patch.FRUSTUM, (0, 0, -1), _X, _Y, (0, 0, 2), foot, top)
    ends = [_disc(z, radius) for z, radius in ((-1.0, foot), (1.0, top)) if radius > 0]
    return Part(np.array([side, *ends]), _solid(Solid.FRUSTUM, foot, top))


@cache
def ellipsoid() -> Part:
    """An ellipsoid."""
    return Part(np.array([_patch(Patch.ELLIPSOID, _NONE, _X, _Y, _Z)]), _solid(Solid.ELLIPSOID))


def torus(width: float) -> Part:
    """A torus about z, whose tube is ``width`` times as wide as the ring is at its middle."""
    ring = 1 / (1 + width)
    patch = _patch(Patch.TORUS, _NONE, (ring, 0, 0), (0, ring, 0), _Z, width)
    return Part(np.array([patch]), _solid(Solid.TORUS, width))


def prism(sides: int, phase: float, foot: float, top: float) -> Part:
    """A regular prism or pyramid about z; the larger of its two radii, to a corner, is 1."""
    angles = phase + 2 * np.pi * np.arange(sides + 1) / sides
    corners = [(float(np.cos(angle)), float(np.sin(angle))) for angle in angles]
    edges = list(itertools.pairwise(corners))
    rows = []
    for z, radius in ((-1.0, foot), (1.0, top)):
        if radius > 0:
            rows += [_triangle((0, 0, z), _at(p, radius, z), _at(q, radius, z)) for p, q in edges]
    for p, q in edges:
        if foot > 0:
            rows.append(_triangle(_at(p, foot, -1), _at(q, foot, -1), _at(q, top, 1)))
        if top > 0:
            rows.append(_triangle(_at(p, foot, -1), _at(q, top, 1), _at(p, top, 1)))
    return Part(np.array(rows), _solid(Solid.PRISM, sides, phase, foot, top))


def revolution(heights: Sequence[float], radii: Sequence[float], *, closed: bool) -> Part:
    """A surface of revolution about z.

    Args:
        heights: the heights of its profile's at most MOST_KNOTS knots, from -1 to 1, never falling.
        radii: the radii of the knots, at most 1.
        closed: whether its ends are closed, so that it is solid.
    """
    knots = list(zip(heights, radii, strict=True))
    rows = [
        _patch(Patch.FRUSTUM, (0, 0, z), _X, _Y, (0, 0, above - z), radius, next_radius)
        for (z, radius), (above, next_radius) in itertools.pairwise(knots)
        if max(radius, next_radius) > 0
    ]
    if not closed:
        return _sheet(rows)
    rows += [_disc(z, radius) for z, radius in (knots[0], knots[-1]) if radius > 0]
    padding = [0.0] * (MOST_KNOTS - len(knots))
    return Part(np.array(rows), _solid(Solid.REVOLUTION, len(knots), *heights, *padding, *radii))


def field(height: Sequence[float]) -> Part:
    """A block whose top is a height field.

    Args:
        height: FIELD_NUMBERS numbers, of a height in (0, 1] over the unit square.
    """
    corner, up = (-1.0, -1.0, -1.0), (0.0, 0.0, 2.0)
    rows = [
        _patch(Patch.FIELD, corner, (2, 0, 0), (0, 2, 0), up, *height),
        _patch(Patch.PARALLELOGRAM, corner, (2, 0, 0), (0, 2, 0), _NONE),
    ]
    for start, way in (((0, 0), (1, 0)), ((0, 1), (1, 0)), ((0, 0), (0, 1)), ((1, 0), (0, 1))):
        foot = (2 * start[0] - 1.0, 2 * start[1] - 1.0, -1.0)
        along = (2.0 * way[0], 2.0 * way[1], 0.0)
        rows.append(_patch(Patch.WALL, foot, along, _NONE, up, *height, *start, *way))
    return Part(np.array(rows), _solid(Solid.FIELD, *height))


def _patch(
    kind: Patch,
    origin: Sequence[float],
    a: Sequence[float],
    b: Sequence[float],
    c: Sequence[float],
    *numbers: float,
) -> list[float]:
    padding = [0.0] * (PATCH_WIDTH - NUMBERS - len(numbers))
    return [float(kind), *origin, *a, *b, *c, 0.0, *numbers, *padding]


def _disc(z: float, radius: float) -> list[float]:
    return _patch(Patch.DISC, (0, 0, z), (radius, 0, 0), (0, radius, 0), _NONE)


def _triangle(p: _Vector, q: _Vector, r: _Vector) -> list[float]:
    a = (q[0] - p[0], q[1] - p[1], q[2] - p[2])
    b = (r[0] - p[0], r[1] - p[1], r[2] - p[2])
    return _patch(Patch.TRIANGLE, p, a, b, _NONE)


def _at(corner: tuple[float, float], radius: float, z: float) -> _Vector:
    return corner[0] * radius, corner[1] * radius, z


def _solid(kind: Solid, *numbers: float) -> Rows:
    padding = [0.0] * (SOLID_WIDTH - NUMBERS - len(numbers))
    return np.array([[float(kind), *_NONE, *_X, *_Y, *_Z, 0.0, *numbers, *padding]])


def _sheet(rows: list[list[float]]) -> Part:
    patches = np.array(rows)
    patches[:, OWNER] = -1
    return Part(patches, np.empty((0, SOLID_WIDTH)))


def _copied(rows: Rows, matrices: NDArray[np.float64], offsets: NDArray[np.float64]) -> Rows:
    """Rows (K, W) as copies (c, K, W)."""
    copies = np.repeat(rows[None], len(offsets), axis=0)
    vectors = rows[:, VECTORS].reshape(1, -1, 3) @ matrices.transpose(0, 2, 1)
    copies[:, :, VECTORS] = vectors.reshape(len(offsets), len(rows), OWNER - ORIGIN)
    copies[:, :, ORIGIN : ORIGIN + 3] += offsets[:, None]
    return copies
