"""Things that drive and fly, nose to +x."""

import numpy as np
from numpy.typing import ArrayLike

from pc_crvae.data.procedural.solids import (
    X,
    Y,
    box,
    ellipsoid,
    frustum,
    join,
    loft,
    mirrored,
    moved,
    rod,
    smooth,
    tube,
)
from pc_crvae.data.surface_sampling import Mesh

_AEROFOIL = np.array(
    [(-0.5, 0.0), (0.0, 0.5), (0.4, 0.3), (0.5, 0.0), (0.4, -0.3), (0.0, -0.5)]
)  # (along the chord, across it)


def _blade(root: ArrayLike, tip: ArrayLike, chords: ArrayLike, thickness: float) -> Mesh:
    """A wing or fin between the middles of its root and tip, whose two chords run along x."""
    middles = np.array([root, tip], dtype=np.float64)
    span = middles[1] - middles[0]
    chordwise = np.array((1.0, 0.0, 0.0))
    across = np.cross(chordwise, span / np.linalg.norm(span))
    section = np.asarray(chords)[:, None, None] * _AEROFOIL[:, :1] * chordwise
    return loft(middles[:, None] + section + thickness * _AEROFOIL[:, 1:] * across)


def _fuselage(rng: np.random.Generator, radius: float) -> Mesh:
    """A body of unit length: blunt or pointed nose, tail swept up."""
    blunt, belly = rng.uniform(0.3, 0.8), rng.uniform(0.85, 1.0)
    stations = [  # x, then height of the centre line and radius, both relative to `radius`
        (0.5, 0.0, 0.0),
        (0.48, 0.0, blunt),
        (0.33, 0.0, 1.0),
        (-0.1, 0.0, belly),
        (-0.35, 0.2, 0.6),
        (-0.5, 0.5, 0.12),
    ]
    x, rise, girth = smooth(stations).T
    return tube(np.stack((x, 0 * x, radius * rise), axis=1), radius * girth, sides=12)


def _tail(rng: np.random.Generator, radius: float, half_span: float, sweep: float) -> Mesh:
    """Tailplane at the fuselage or atop the fin; one fin or two."""
    chord = rng.uniform(0.07, 0.14)
    base, top = 0.4 * radius, 0.4 * radius + rng.uniform(0.1, 0.24)
    level = top if rng.random() < 0.3 else base
    tip = (-0.45 - sweep, half_span, level)
    tailplane = _blade((-0.45, 0, level), tip, (chord, 0.6 * chord), 0.015)
    fin = _blade((-0.44, 0, base), (-0.52, 0, top), (1.3 * chord, 0.8 * chord), 0.015)
    if rng.random() < 0.15:
        fin = mirrored(moved(fin, (0, 0.6 * half_span, 0)), Y)
    return join(mirrored(tailplane, Y), fin)


def airplane(rng: np.random.Generator) -> Mesh:
    """Airliner, business jet, propeller plane, fighter or glider, about one unit long."""
    radius = rng.uniform(0.035, 0.09)
    half_span = rng.uniform(0.28, 0.65)
    chord = rng.uniform(0.12, 0.34)
    sweep, dihedral = half_span * rng.uniform(-0.05, 0.75), half_span * rng.uniform(-0.03, 0.15)
    root = np.array((rng.uniform(-0.08, 0.15), 0, radius * rng.uniform(-0.7, 0.9)))
    spanwise = np.array((-sweep, half_span, dihedral))

    tail_span = rng.uniform(0.3, 0.5)
    wing = _blade(root, root + spanwise, (chord, chord * rng.uniform(0.2, 0.95)), 0.025)
    parts = [
        _fuselage(rng, radius),
        mirrored(wing, Y),
        _tail(rng, radius, tail_span * half_span, 0.5 * tail_span * sweep),
    ]

    propulsion = rng.random()
    if propulsion < 0.45:
        engine_radius = radius * rng.uniform(0.3, 0.5)
        engine = rod((-0.08, 0, -engine_radius), (0.04, 0, -engine_radius), engine_radius)
        for out in (0.35,) if rng.random() < 0.7 else (0.3, 0.6):
            hung = moved(engine, root + out * spanwise)
            parts.append(mirrored(moved(hung, (0.3 * chord, 0, 0)), Y))
    elif propulsion < 0.6:
        engine = rod((-0.37, 0, 0), (-0.23, 0, 0), 0.4 * radius)
        parts.append(mirrored(moved(engine, (0, 1.3 * radius, 0.4 * radius)), Y))
    elif propulsion < 0.8:
        propeller = radius * rng.uniform(1.5, 2.5)
        parts.append(box((0.012, 0.03, 2 * propeller), (0.5, 0, -propeller)))
    if propulsion > 0.6 and rng.random() < 0.5:
        canopy = (0.09, 0.6 * radius, 0.8 * radius)
        parts.append(ellipsoid(canopy, (0.2, 0, 0.8 * radius)))
    if rng.random() < 0.3:
        strut = rod((0, 0, 0), (0, 0, 2 * radius), 0.01)
        gear = moved(join(strut, _wheel(0.03, 0.02)), (root[0], 0.15 * half_span, -2.2 * radius))
        parts.append(mirrored(gear, Y))
    return join(*parts)


def _wheel(radius: float, width: float) -> Mesh:
    """A wheel about the origin, its axle along y."""
    return rod((0, -width / 2, 0), (0, width / 2, 0), radius, sides=16)


def car(rng: np.random.Generator) -> Mesh:
    """Sedan, hatchback, estate, van or pickup on four wheels."""
    length, width = rng.uniform(3.4, 5.2), rng.uniform(1.55, 2.0)
    wheel_radius = rng.uniform(0.27, 0.42)
    floor = wheel_radius * rng.uniform(0.5, 0.9)
    waist = floor + rng.uniform(0.45, 0.75)
    roof = waist + rng.uniform(0.4, 0.65)
    roof_width = width * rng.uniform(0.7, 0.92)
    rear, nose = -length / 2, length / 2
    cowl = nose - length * rng.uniform(0.2, 0.3)
    windscreen = cowl - rng.uniform(0.3, 0.8)
    hood = waist - rng.uniform(0.0, 0.15)

    style = rng.choice(("sedan", "hatchback", "estate", "van", "pickup"))
    if style == "sedan":
        cabin_rear = rear + length * rng.uniform(0.13, 0.22)
        roof_rear = cabin_rear + rng.uniform(0.3, 0.7)
    elif style == "hatchback":
        cabin_rear, roof_rear = rear + 0.1, rear + rng.uniform(0.4, 0.9)
    elif style == "pickup":
        cabin_rear = cowl - length * rng.uniform(0.3, 0.45)
        roof_rear = cabin_rear + 0.15
    else:
        cabin_rear, roof_rear = rear + 0.05, rear + 0.15
    if style == "van":
        roof += rng.uniform(0.2, 0.7)
        cowl += 0.4

    parts = [
        frustum((rear, cowl, width), (rear + 0.05, cowl, 0.97 * width), (floor, waist)),
        frustum((cowl, nose, width), (cowl, nose - 0.15, 0.95 * width), (floor, hood)),
        frustum(
            (cabin_rear, cowl, 0.95 * width), (roof_rear, windscreen, roof_width), (waist, roof)
        ),
    ]
    if style == "pickup":
        bed_length = cabin_rear - rear
        wall = box((bed_length, 0.06, 0.35), (rear + bed_length / 2, width / 2 - 0.05, waist))
        parts += [mirrored(wall, Y), box((0.06, width, 0.35), (rear + 0.05, 0, waist))]
    elif rng.random() < 0.25:
        parts.append(box((0.25, 0.9 * width, 0.03), (rear + 0.15, 0, waist + 0.15)))

    axle = length * rng.uniform(0.28, 0.33)
    wheel = moved(_wheel(wheel_radius, 0.22), (axle, width / 2 - 0.08, wheel_radius))
    return join(*parts, mirrored(mirrored(wheel, X), Y))
