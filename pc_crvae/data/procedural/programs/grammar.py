"""The grammar of the programs: which parts, how large, where they are attached and how repeated.

z is up. A program begins with one part, and attaches each further one to a face of an earlier
part, once or in copies: legs at corners, arms on both sides, shelves in a row, spokes about an
axis. What is attached to a part that is copied is copied with it. Sizes are log-uniform, so that
thin plates and bars are common. The whole may be tapered, and solids may be cut out of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.procedural.programs import parts
from pc_crvae.data.procedural.programs.chance import Chance
from pc_crvae.data.procedural.programs.kinds import (
    ROUND,
    Vector,
    X,
    Y,
    Z,
    about_z,
    random_part,
    tilt,
)
from pc_crvae.data.procedural.programs.parts import Part

_COUNTS = {1: 0.08, 2: 0.2, 3: 0.27, 4: 0.22, 5: 0.13, 6: 0.06, 7: 0.04}
_KINDS = {
    "box": 0.52,
    "frustum": 0.14,
    "shell": 0.1,
    "revolution": 0.08,
    "prism": 0.05,
    "ellipsoid": 0.04,
    "field": 0.04,
    "torus": 0.03,
}
_KINDS_ALONE = {"box": 0.1, "shell": 0.25, "revolution": 0.35, "field": 0.15, "prism": 0.15}
_KINDS_IN_ROWS = {"box": 0.6, "frustum": 0.3, "revolution": 0.06, "prism": 0.04}

_BUILDS_ALONE = {"block": 0.8, "plate": 0.2}
_FIRST_BUILDS = {"block": 0.55, "plate": 0.4, "bar": 0.05}
_BUILDS = {"block": 0.45, "plate": 0.35, "bar": 0.2}

_SIDES = {"above": 0.36, "below": 0.34, "beside": 0.3}
_WAYS = {
    "above": {"once": 0.62, "mirrored": 0.14, "corners": 0.1, "row": 0.1, "spokes": 0.04},
    "below": {"once": 0.3, "mirrored": 0.14, "corners": 0.44, "row": 0.03, "spokes": 0.09},
    "beside": {"once": 0.4, "mirrored": 0.42, "row": 0.15, "spokes": 0.03},
}

_SYMMETRIC, _TILTED, _TAPERED, _CUT, _HIDES, _FILLED = 0.75, 0.12, 0.3, 0.2, 0.6, 0.6
_MOST_COPIES = 36
_THINNEST = 0.012


@dataclass(frozen=True, eq=False)
class Program:
    """What points are drawn from.

    Attributes:
        whole: its parts, then what is cut out of them.
        solid_parts: how many of its solids are parts.
        hides: whether points inside a part are dropped.
        taper: (5,) float64, factors on x and on y at z = 0, how both grow with z, and at least the
            most that an area is stretched by.
    """

    whole: Part
    solid_parts: int
    hides: bool
    taper: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Copies:
    """Copies of something: ``matrices`` (c, 3, 3) orthogonal, then ``offsets`` (c, 3)."""

    matrices: NDArray[np.float64]
    offsets: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.offsets)

    def of(self, inner: "_Copies") -> "_Copies":
        """The copies of copies."""
        matrices = self.matrices[:, None] @ inner.matrices
        offsets = (self.matrices[:, None] @ inner.offsets[..., None])[..., 0]
        offsets += self.offsets[:, None]
        return _Copies(matrices.reshape(-1, 3, 3), offsets.reshape(-1, 3))


@dataclass(frozen=True, eq=False)
class _Block:
    """The bounding box of a part where it was first put, and its copies, that one included."""

    centre: Vector
    half: Vector
    kind: str
    copies: _Copies

    def boxes(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Centres and half-sizes of the boxes around all copies, (c, 3) each."""
        centres = self.copies.matrices @ np.array(self.centre) + self.copies.offsets
        return centres, np.abs(self.copies.matrices) @ np.array(self.half)


_UNTAPERED = np.array([1.0, 1.0, 0.0, 0.0, 1.0])
_ONCE = _Copies(np.eye(3)[None], np.zeros((1, 3)))


class ProgramBuilder:
    """Builds a program.

    Args:
        chance: makes the choices.
    """

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._parts: list[Part] = []
        self._blocks: list[_Block] = []
        self._symmetric = chance.happens(_SYMMETRIC)

    def build(self) -> Program:
        """Draw the parts, their places and copies, the cuts and the taper."""
        chance = self._chance
        count = chance.weighted(_COUNTS)
        half = self._sizes([1.0] * 3, _FIRST_BUILDS if count > 1 else _BUILDS_ALONE)
        kind = chance.weighted(_KINDS if count > 1 else _KINDS_ALONE)
        self._put(kind, half, [0.0, 0.0, 0.0], _ONCE)
        while len(self._blocks) < count:
            self._attach()
        solid_parts = sum(len(part.solids) for part in self._parts)
        hides = chance.happens(_HIDES)
        if chance.happens(_CUT):
            self._cut()
        return Program(parts.joined(self._parts), solid_parts, hides, self._taper())

    def _sizes(
        self, around: Vector, builds: Mapping[str, float], along: int | None = None
    ) -> Vector:
        """Half-sizes of a block, plate or bar beside something; of a bar, along an axis."""
        chance = self._chance
        size = max(around) * chance.log_uniform(0.4, 1.0)
        build = chance.weighted(builds)
        half = [size * chance.log_uniform(0.4, 1.0) for _ in range(3)]
        axis = chance.weighted({Z: 0.5, X: 0.25, Y: 0.25}) if along is None else along
        if build == "plate":
            half[axis] = size * chance.log_uniform(0.025, 0.12)
        elif build == "bar":
            thin = size * chance.log_uniform(0.025, 0.12)
            half = [thin, thin, thin]
            if chance.happens(0.3):
                half[(axis + 1) % 3] *= chance.uniform(1.0, 3.0)
            half[axis] = size
        return [max(length, _THINNEST) for length in half]

    def _put(
        self,
        kind: str,
        half: Vector,
        centre: Vector,
        copies: _Copies,
        rotation: NDArray[np.float64] | None = None,
        pivot: Vector | None = None,
    ) -> None:
        """Put a part of a kind in its place, turned about a pivot, and copy it."""
        part = random_part(self._chance, kind, half)
        middle = np.array(centre)
        if rotation is None:
            place = _Copies(_ONCE.matrices, middle[None])
        else:
            offset = np.array(pivot) + rotation @ (middle - pivot)
            place = _Copies(rotation[None], offset[None])
            half = (np.abs(rotation) @ half).tolist()
            centre = offset.tolist()
        together = copies.of(place)
        self._parts.append(part.copied(together.matrices, together.offsets))
        self._blocks.append(_Block(centre, half, kind, copies))

    def _attach(self) -> None:
        chance = self._chance
        host = self._blocks[0] if chance.happens(0.45) else chance.one_of(self._blocks)
        if host.kind == "shell" and chance.happens(_FILLED):
            self._fill(host)
            return
        side = chance.weighted(_SIDES)
        if side == "beside":
            normal, sign = chance.one_of((X, Y)), chance.sign()
        else:
            normal, sign = Z, 1.0 if side == "above" else -1.0
        level = [axis for axis in (X, Y, Z) if axis != normal]
        way = chance.weighted(_WAYS[side])
        if len(host.copies) > 4:
            way = "once"
        if way == "mirrored" and side == "beside" and normal == X and self._symmetric:
            normal, level = Y, [X, Z]  # symmetric about the plane that the whole is
        getattr(self, f"_attach_{way}")(host, normal, sign, level)

    def _attach_once(self, host: _Block, normal: int, sign: float, level: list[int]) -> None:
        chance = self._chance
        half = self._sizes(host.half, _BUILDS)
        self._match(half, host, level)
        offset = [0.0, 0.0, 0.0]
        for axis in level:
            offset[axis] = self._shift(host.half[axis] - half[axis], axis)
        self._put_on(host, chance.weighted(_KINDS), half, (normal, sign), offset, _ONCE)

    def _attach_mirrored(self, host: _Block, normal: int, sign: float, level: list[int]) -> None:
        chance = self._chance
        half = self._sizes(host.half, _BUILDS)
        self._match(half, host, level)
        if normal != Z:
            plane = normal
        else:
            plane = Y if self._symmetric else chance.one_of((X, Y))
            half[plane] = min(half[plane], 0.45 * host.half[plane])
        offset = [0.0, 0.0, 0.0]
        for axis in level:
            room = max(host.half[axis] - half[axis], 0.0)
            if axis == plane:
                offset[axis] = room * (1.0 if chance.happens(0.5) else chance.uniform(0.55, 1.0))
            else:
                offset[axis] = self._shift(room, axis)
        copies = _mirrored(host, [plane])
        self._put_on(host, chance.weighted(_KINDS), half, (normal, sign), offset, copies)

    def _attach_corners(self, host: _Block, normal: int, sign: float, level: list[int]) -> None:
        chance = self._chance
        half = self._sizes([max(host.half)] * 3, {"bar": 1.0}, along=normal)
        inset = 1.0 if chance.happens(0.5) else chance.uniform(0.6, 1.0)
        offset = [0.0, 0.0, 0.0]
        for axis in level:
            half[axis] = min(half[axis], 0.3 * host.half[axis])
            offset[axis] = inset * (host.half[axis] - half[axis])
            if host.kind in (*ROUND, "ellipsoid"):
                offset[axis] *= 0.68  # within the circle
        kind = chance.weighted(_KINDS_IN_ROWS)
        self._put_on(host, kind, half, (normal, sign), offset, _mirrored(host, level))

    def _attach_row(self, host: _Block, normal: int, sign: float, level: list[int]) -> None:
        chance = self._chance
        half = self._sizes(host.half, _BUILDS)
        self._match(half, host, level)
        axes = level if chance.happens(0.25) else [chance.one_of(level)]
        offset, steps = [0.0, 0.0, 0.0], [np.zeros(3)]
        for axis in axes:
            count = chance.integer(2, 6 if len(axes) == 1 else 4)
            half[axis] = min(half[axis], chance.uniform(0.3, 0.8) * host.half[axis] / count)
            room = host.half[axis] - half[axis]
            offset[axis] = -room
            step = np.eye(3)[axis] * 2 * room / (count - 1)
            steps = [each + k * step for each in steps for k in range(count)]
        for axis in level:
            if axis not in axes:
                offset[axis] = self._shift(host.half[axis] - half[axis], axis)
        copies = _Copies(np.repeat(np.eye(3)[None], len(steps), axis=0), np.array(steps))
        self._put_on(host, chance.weighted(_KINDS_IN_ROWS), half, (normal, sign), offset, copies)

    def _attach_spokes(self, host: _Block, normal: int, sign: float, level: list[int]) -> None:
        chance = self._chance
        half = self._sizes([max(host.half)] * 3, {"bar": 0.8, "plate": 0.2}, along=X)
        offset = [0.0, 0.0, 0.0]
        if normal == Z:
            offset[X] = half[X]
        else:
            normal = X
        count = chance.integer(3, 6)
        turns = np.array([about_z(2 * math.pi * k / count) for k in range(count)])
        centre = np.array(host.centre)
        copies = _Copies(turns, centre - turns @ centre)
        self._put_on(host, chance.weighted(_KINDS_IN_ROWS), half, (normal, sign), offset, copies)

    def _fill(self, host: _Block) -> None:
        """Shelves or dividers inside a shell, or a part that stands in it."""
        chance = self._chance
        if chance.happens(0.2):
            half = [chance.uniform(0.3, 0.9) * length for length in host.half]
            centre = list(host.centre)
            centre[Z] -= host.half[Z] - half[Z]
            self._put(chance.weighted(_KINDS), half, centre, host.copies)
            return
        axis = chance.weighted({Z: 0.7, Y: 0.2, X: 0.1})
        count = chance.integer(1, 4)
        half = list(host.half)
        half[axis] = max(_THINNEST, host.half[axis] * chance.log_uniform(0.015, 0.06))
        step = 2 * host.half[axis] / (count + 1)
        centre = list(host.centre)
        centre[axis] += step - host.half[axis]
        offsets = np.eye(3)[axis] * step * np.arange(count)[:, None]
        copies = _Copies(np.repeat(np.eye(3)[None], count, axis=0), offsets)
        self._put("box", half, centre, host.copies.of(copies))

    def _match(self, half: Vector, host: _Block, axes: list[int]) -> None:
        """Make a part, at times, as long as its host, and never much longer."""
        for axis in axes:
            if self._chance.happens(0.4):
                half[axis] = host.half[axis] * self._chance.one_of((1.0, 1.0, 0.9, 0.8))
            half[axis] = min(half[axis], 1.6 * host.half[axis])

    def _shift(self, room: float, axis: int) -> float:
        """Where a part lies along an axis: in the middle, flush with an end, or anywhere."""
        chance = self._chance
        if axis == Y and self._symmetric:
            return 0.0
        where = chance.unit()
        if where < 0.4:
            return 0.0
        return room * (chance.sign() if where < 0.75 else chance.uniform(-1.0, 1.0))

    def _put_on(
        self,
        host: _Block,
        kind: str,
        half: Vector,
        face: tuple[int, float],
        offset: Vector,
        copies: _Copies,
    ) -> None:
        """Put a part on a face of its host, a little sunk into it at times, and perhaps tilted."""
        chance = self._chance
        normal, sign = face
        sunk = chance.uniform(0.0, 0.2) * min(half[normal], host.half[normal])
        if chance.happens(0.5):
            sunk = 0.0
        centre = [at + by for at, by in zip(host.centre, offset, strict=True)]
        pivot = list(centre)
        pivot[normal] = host.centre[normal] + sign * (host.half[normal] - sunk)
        centre[normal] = pivot[normal] + sign * half[normal]
        rotation = tilt(chance) if chance.happens(_TILTED) else None
        if len(host.copies) * len(copies) > _MOST_COPIES:
            copies = _ONCE
        self._put(kind, half, centre, host.copies.of(copies), rotation, pivot)

    def _cut(self) -> None:
        """Cut a hole through a part, or a pocket into it."""
        chance = self._chance
        hosts = [block for block in self._blocks if block.kind != "shell"]
        if not hosts:
            return
        host = chance.one_of(hosts)
        axis = chance.one_of((X, Y, Z))
        half = [length * chance.uniform(0.35, 0.8) for length in host.half]
        centre = list(host.centre)
        if chance.happens(0.5):
            half[axis] = 1.05 * host.half[axis]
        else:
            half[axis] = host.half[axis] * chance.uniform(0.4, 0.95)
            centre[axis] += 1.02 * host.half[axis] * (1.0 if axis == Z else chance.sign())
        unit = chance.weighted({"box": 0.55, "frustum": 0.3, "ellipsoid": 0.15})
        cut = random_part(chance, unit, half)
        offsets = host.copies.offsets + host.copies.matrices @ np.array(centre)
        self._parts.append(cut.copied(host.copies.matrices, offsets))

    def _taper(self) -> NDArray[np.float64]:
        chance = self._chance
        if not chance.happens(_TAPERED):
            return _UNTAPERED
        boxes = [block.boxes() for block in self._blocks]
        low = min(float((centres - halves)[:, Z].min()) for centres, halves in boxes)
        high = max(float((centres + halves)[:, Z].max()) for centres, halves in boxes)
        reach = max(float((np.abs(centres) + halves)[:, :Z].max()) for centres, halves in boxes)
        if high - low < 0.7 * reach:
            return _UNTAPERED  # what is flat would be stretched without measure
        most = chance.log_uniform(0.45, 0.95)
        foot, top = (1.0, most) if chance.happens(0.6) else (most, 1.0)
        slope = (top - foot) / (high - low)
        at_zero = foot - slope * low
        along = chance.weighted({(True, True): 0.6, (True, False): 0.2, (False, True): 0.2})
        factors = [at_zero if tapered else 1.0 for tapered in along]
        slopes = [slope if tapered else 0.0 for tapered in along]
        # At most: the largest singular value of ((1, 0), (lean, 1)), as no length grows.
        lean = reach * math.hypot(*slopes)
        trace = 2 + lean * lean
        stretch = math.sqrt((trace + math.sqrt(trace * trace - 4)) / 2)
        return np.array([*factors, *slopes, stretch])


def _mirrored(host: _Block, axes: list[int]) -> _Copies:
    """A copy on every side of the planes through the host's centre."""
    matrices, offsets = [np.eye(3)], [np.zeros(3)]
    for axis in axes:
        mirror, shift = np.eye(3), np.zeros(3)
        mirror[axis, axis], shift[axis] = -1.0, 2 * host.centre[axis]
        matrices += [mirror @ matrix for matrix in matrices]
        offsets += [mirror @ offset + shift for offset in offsets]
    return _Copies(np.array(matrices), np.array(offsets))
