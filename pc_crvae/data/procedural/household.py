"""Things of unmistakable outline found about the house."""

import numpy as np

from pc_crvae.data.procedural.solids import (
    Points,
    X,
    Y,
    arc,
    box,
    cylinder,
    ellipsoid,
    frustum,
    join,
    leaned,
    loft,
    mirrored,
    moved,
    prism,
    revolve,
    rod,
    smooth,
    superellipse,
    tube,
)
from pc_crvae.data.procedural.supports import pedestal
from pc_crvae.data.surface_sampling import Mesh


def _shade(rng: np.random.Generator, radius: float, bottom: float) -> Mesh:
    """A lamp shade about the z axis: cone, drum, dome or globe."""
    height = radius * rng.uniform(0.7, 1.7)
    style = rng.random()
    if style < 0.5:
        return revolve([(radius, bottom), (radius * rng.uniform(0.3, 1.0), bottom + height)])
    if style < 0.75:
        dome = arc(1.0, 0, 90) * (radius, height)
        return moved(revolve(dome), (0, 0, bottom))
    return ellipsoid((radius, radius, height / 2), (0, 0, bottom + height / 2))


def lamp(rng: np.random.Generator) -> Mesh:
    """A table, floor or reading lamp."""
    height = rng.uniform(0.35, 1.7)
    shade_radius = rng.uniform(0.1, 0.26) * (0.5 + 0.5 * height)
    foot_radius = shade_radius * rng.uniform(0.45, 1.1)
    stem = rng.uniform(0.008, 0.02)
    style = rng.random()
    if style < 0.25:
        elbow = np.array((-0.3 * height, 0, rng.uniform(0.4, 0.7) * height))
        head = np.array((rng.uniform(0.05, 0.25) * height, 0, height))
        arm = join(rod((0, 0, 0), elbow, stem), rod(elbow, head, stem))
        shade = revolve([(0.6 * shade_radius, -0.6 * shade_radius), (0.2 * shade_radius, 0.1)])
        shade = moved(leaned(shade, rng.uniform(-0.8, 0.0)), head)
        return join(cylinder(foot_radius, 0, 0.03), arm, shade)

    shade = _shade(rng, shade_radius, height)
    if style < 0.5:
        belly = foot_radius * rng.uniform(0.5, 1.0)
        relative = (0.7 * belly, 0), (belly, 0.3), (belly, 0.5), (stem, 0.7), (stem, 1.1)
        return join(shade, revolve(smooth(relative) * (1.0, height)))
    return join(shade, pedestal(rng, foot_radius, stem, height + 0.5 * shade_radius))


def monitor(rng: np.random.Generator) -> Mesh:
    """A screen on a stand; flat, or deep behind like a picture tube."""
    height = rng.uniform(0.28, 0.5)
    width = height * rng.uniform(1.15, 2.3)
    thickness = rng.uniform(0.015, 0.07)
    lift = rng.uniform(0.03, 0.22)
    bezel = rng.uniform(0.01, 0.03)

    frame = [
        box((thickness, width, height), (0, 0, 0)),
        box((0.01, width - 2 * bezel, height - 2 * bezel), (thickness / 2, 0, bezel)),
    ]
    if rng.random() < 0.25:
        depth = rng.uniform(0.2, 0.4)
        front = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * (width / 2, height / 2)
        rings = np.zeros((2, 4, 3))
        rings[..., 1:] = front * np.array([0.97, 0.55])[:, None, None]
        rings[1, :, 0] = -depth
        frame.append(moved(loft(rings), (0, 0, height / 2)))
    screen = moved(leaned(join(*frame), rng.uniform(-0.05, 0.25)), (0, 0, lift))

    foot_depth, foot_width = rng.uniform(0.14, 0.28), width * rng.uniform(0.25, 0.7)
    style = rng.random()
    if style < 0.3:
        foot = box((foot_depth, foot_width, 0.015), (0, 0, 0))
    elif style < 0.6:
        foot = prism(superellipse(foot_depth, foot_width), 0, 0.015)
    elif style < 0.8:
        splayed = rod((0, 0.36 * width, lift), (foot_depth / 2, 0.4 * width, 0), 0.01)
        return join(screen, mirrored(mirrored(splayed, X), Y))
    else:
        bottom = (-foot_depth / 2, foot_depth / 2, foot_width)
        foot = frustum(bottom, (-0.025, 0.025, 0.06), (0, lift))
    neck = box((0.03, rng.uniform(0.04, 0.12), lift + 0.4 * height), (-thickness, 0, 0))
    return join(screen, foot, neck)


def umbrella(rng: np.random.Generator) -> Mesh:
    """A ribbed canopy on a stick with a crook or knob, or a parasol on a foot; open or furled."""
    radius = rng.uniform(0.4, 0.65)
    length = radius * rng.uniform(1.4, 2.3)
    ribs = int(rng.integers(6, 11))
    stick = rng.uniform(0.008, 0.016)
    furled = rng.random() < 0.25

    rise = length * 0.65 if furled else radius * rng.uniform(0.3, 0.75)
    reach = radius * 0.16 if furled else radius
    bulge = rng.uniform(0.1, 0.35)
    profile = smooth([(reach, 0.0), (reach * (0.6 + bulge), 0.6 * rise), (0.0, rise)])
    canopy = revolve(profile, segments=2 * ribs)
    # Between two ribs the cloth is pulled in towards the stick and, at the hem, upwards.
    folds = np.cos(ribs * np.arctan2(canopy[..., 1], canopy[..., 0]))
    canopy[..., :2] *= (1 - (0.25 if furled else 0.04) * (1 - folds))[..., None]
    parts = [moved(canopy, (0, 0, length - rise)), rod((0, 0, 0), (0, 0, length * 1.05), stick)]

    style = rng.random()
    if style < 0.6:
        crook_radius = rng.uniform(0.05, 0.09)
        crook = arc(crook_radius, 180, 360)
        path = np.stack((crook[:, 0] + crook_radius, np.zeros(len(crook)), crook[:, 1]), axis=1)
        parts.append(tube(path, 1.6 * stick))
    elif style < 0.8:
        parts.append(rod((0, 0, -0.08), (0, 0, 0.08), 2.2 * stick))
    else:
        parts.append(cylinder(radius * rng.uniform(0.2, 0.5), 0, 0.04))
    return join(*parts)


def _guitar_outline(rng: np.random.Generator, width: float, length: float) -> Points:
    """Figure of eight (S, 2) in (y, z), lower bout at z < 0, upper bout narrower."""
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    z = np.sin(angles)
    waist = rng.uniform(0.2, 0.4) * np.exp(-(((z - 0.15) / 0.35) ** 2))
    taper = 1 - rng.uniform(0.08, 0.25) * (z + 1) / 2
    y = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** 0.7 * (1 - waist) * taper
    return np.stack((y * width / 2, z * length / 2), axis=1)


def guitar(rng: np.random.Generator) -> Mesh:
    """A waisted body, a neck and a head with pegs, held upright, front to +x."""
    body_length = rng.uniform(0.34, 0.52)
    body_width = body_length * rng.uniform(0.65, 0.95)
    thickness = rng.uniform(0.04, 0.13)
    neck_start, neck_length = 0.8 * body_length, rng.uniform(0.35, 0.7)
    neck_width = rng.uniform(0.04, 0.065)
    head_length = rng.uniform(0.1, 0.19)

    outline = _guitar_outline(rng, body_width, body_length)
    rings = np.empty((2, len(outline), 3))
    rings[..., 1:] = outline
    rings[..., 0] = [[-thickness], [0.0]]  # x = 0 is the soundboard
    head = frustum((-0.01, 0.01, neck_width), (-0.01, 0.01, 1.6 * neck_width), (0, head_length))
    for level in np.linspace(0.25, 0.8, 3) * head_length:
        peg = rod((0, 0.5 * neck_width, level), (0, 1.1 * neck_width, level), 0.008)
        head = join(head, mirrored(peg, Y))
    parts = [
        moved(loft(rings), (0, 0, body_length / 2)),
        box((0.025, neck_width, neck_length), (0, 0, neck_start)),
        moved(leaned(head, 0.2), (0, 0, neck_start + neck_length)),
        box((0.02, 0.4 * body_width, 0.02), (0, 0, 0.22 * body_length)),
    ]
    if rng.random() < 0.3:
        horn_top = rng.uniform(1.0, 1.2) * body_length
        start = (-thickness / 2, 0.3 * body_width, 0.85 * body_length)
        end = (-thickness / 2, 0.42 * body_width, horn_top)
        parts.append(mirrored(rod(start, end, (0.25 * thickness + 0.02, 0.012)), Y))
    return join(*parts)
