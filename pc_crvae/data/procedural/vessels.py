"""Things that hold a liquid or flowers; most are surfaces of revolution, inner wall included."""

import numpy as np

from pc_crvae.data.procedural.solids import (
    Points,
    Y,
    cylinder,
    join,
    mirrored,
    moved,
    revolve,
    smooth,
    tube,
)
from pc_crvae.data.surface_sampling import Mesh


def _vessel(outer: Points, wall: float) -> Mesh:
    """Open vessel from its outer profile (K, 2), foot to rim, with an inner wall."""
    inner = np.maximum(outer - (wall, 0.0), 0.0)[::-1]
    inner[:, 1] = np.maximum(inner[:, 1], outer[0, 1] + wall)
    foot, bottom = [(0.0, outer[0, 1])], [(0.0, inner[-1, 1])]
    return revolve(np.concatenate((foot, outer, inner, bottom)))


def _handle(attach: float, bottom: float, top: float, bulge: float, radius: float) -> Mesh:
    """A bow from (attach, bottom) to (attach, top) in the y-z plane, reaching out along y."""
    reach = attach + bulge
    corners = [(0, attach, bottom), (0, reach, bottom), (0, reach, top), (0, attach, top)]
    return tube(smooth(corners), radius)


def bottle(rng: np.random.Generator) -> Mesh:
    """A closed body with shoulder, neck and cap; round, oval or flat, perhaps with a grip."""
    height = rng.uniform(0.18, 0.34)
    radius = height * rng.uniform(0.11, 0.26)
    neck_radius = radius * rng.uniform(0.22, 0.6)
    shoulder = height * rng.uniform(0.4, 0.8)
    neck = shoulder + (height - shoulder) * rng.uniform(0.25, 0.75)
    waist = rng.uniform(0.75, 1.0) if rng.random() < 0.3 else 1.0

    body = smooth(
        [
            (radius * rng.uniform(0.75, 1.0), 0.0),
            (radius, 0.05 * height),
            (radius * waist, 0.5 * shoulder),
            (radius, shoulder),
            (neck_radius * rng.uniform(1.0, 1.4), neck),
            (neck_radius, neck),
            (neck_radius, height),
        ]
    )
    shell = revolve(np.concatenate(([(0.0, 0.0)], body, [(0.0, height)])))
    if rng.random() < 0.3:
        shell = shell * (rng.uniform(0.45, 0.8), 1.0, 1.0)
    parts = [shell]
    if rng.random() < 0.6:
        parts.append(cylinder(neck_radius * rng.uniform(1.05, 1.4), 0.93 * height, 1.02 * height))
    if rng.random() < 0.15:
        parts.append(_handle(0.9 * radius, 0.5 * shoulder, shoulder, 0.5 * radius, 0.1 * radius))
    return join(*parts)


def vase(rng: np.random.Generator) -> Mesh:
    """An open, curved vessel: belly, neck and lip anywhere between a column and an amphora."""
    height = rng.uniform(0.2, 0.5)
    belly = height * rng.uniform(0.14, 0.5)
    foot, neck, lip = belly * rng.uniform((0.4, 0.3, 0.4), (0.95, 1.0, 1.2))
    belly_at, neck_at = rng.uniform(0.25, 0.6), rng.uniform(0.7, 0.9)

    outer = smooth(
        np.array(
            [
                (foot, 0.0),
                (foot, 0.03),
                (belly, belly_at - 0.15),
                (belly, belly_at + 0.1),
                (neck, neck_at),
                (lip, 1.0),
            ]
        )
        * (1.0, height),
        rounds=3,
    )
    parts = [_vessel(outer, 0.06 * belly)]
    if rng.random() < 0.25:
        bow = _handle(0.85 * neck, belly_at * height, neck_at * height, 0.8 * belly, 0.08 * belly)
        parts.append(mirrored(bow, Y))
    return join(*parts)


def cup(rng: np.random.Generator) -> Mesh:
    """A drinking vessel: mug or tea cup with a handle, beaker, or stemmed goblet."""
    rim = 0.04
    height = rim * rng.uniform(1.2, 3.0)
    base = rim * rng.uniform(0.45, 1.05)
    outer = smooth([(base, 0.0), (rng.uniform(base, rim * 1.05), 0.35 * height), (rim, height)])
    lift = 0.0
    parts = []
    style = rng.random()
    if style < 0.15:
        lift = rng.uniform(0.03, 0.08)
        foot = rim * rng.uniform(0.7, 1.0)
        stem = 0.12 * rim
        profile = [(0, 0), (foot, 0), (foot, 0.003), (stem, 0.01), (stem, lift), (base, lift)]
        parts.append(revolve(profile))
    elif style < 0.75:
        low, high = height * rng.uniform(0.08, 0.3), height * rng.uniform(0.65, 0.95)
        thickness = rim * rng.uniform(0.07, 0.16)
        parts.append(_handle(0.85 * rim, low, high, rim * rng.uniform(0.6, 1.2), thickness))
        if rng.random() < 0.3:
            plate = rim * rng.uniform(1.5, 2.1)
            saucer = [(0, 0), (0.7 * base, 0), (plate, 0.3 * rim), (0.7 * base, 0.005)]
            parts.append(revolve(saucer))
    parts.append(moved(_vessel(outer, 0.07 * rim), (0, 0, lift)))
    return join(*parts)


def bowl(rng: np.random.Generator) -> Mesh:
    """A wide open vessel, round-bottomed or flaring, perhaps footed or with two ears."""
    rim = 0.12
    height = rim * rng.uniform(0.45, 1.6)
    foot = rim * rng.uniform(0.25, 0.6)
    belly = rim * rng.uniform(0.7, 1.1)
    foot_height = height * rng.uniform(0.0, 0.25)
    outer = smooth(
        [
            (foot, 0.0),
            (foot, foot_height),
            (belly, foot_height + 0.1 * height),
            (rim, 0.6 * height),
            (rim * rng.uniform(0.9, 1.1), height),
        ],
        rounds=3,
    )
    parts = [_vessel(outer, rim * rng.uniform(0.03, 0.08))]
    if rng.random() < 0.2:
        parts.append(mirrored(_handle(0.9 * rim, 0.6 * height, 0.8 * height, 0.3 * rim, 0.008), Y))
    return join(*parts)
