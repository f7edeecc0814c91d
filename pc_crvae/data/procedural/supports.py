"""What furniture stands on, shared by seats and tables so that only the whole tells them apart."""

import numpy as np

from pc_crvae.data.procedural.solids import (
    X,
    Y,
    box,
    cylinder,
    join,
    mirrored,
    prism,
    rod,
    superellipse,
)
from pc_crvae.data.surface_sampling import Mesh


def legs(rng: np.random.Generator, depth: float, width: float, height: float) -> Mesh:
    """Four legs: square or round, straight or tapered, upright or splayed, perhaps braced."""
    thickness = rng.uniform(0.012, 0.035)
    sides = 4 if rng.random() < 0.5 else 8
    foot_radius = thickness * rng.uniform(0.4, 1.0)
    splay = rng.uniform(0.05, 0.2) * height if rng.random() < 0.4 else 0.0
    inset = thickness + rng.uniform(0.0, 0.12) * min(depth, width) + splay / 2
    x, y = depth / 2 - inset, width / 2 - inset

    leg = rod((x + splay, y + splay, 0), (x, y, height), (foot_radius, thickness), sides=sides)
    parts = [mirrored(mirrored(leg, X), Y)]
    if rng.random() < 0.35:
        level = rng.uniform(0.15, 0.5)
        x, y, z = x + splay * (1 - level), y + splay * (1 - level), level * height
        parts.append(mirrored(rod((-x, y, z), (x, y, z), 0.6 * thickness, sides=sides), Y))
        if rng.random() < 0.5:
            parts.append(rod((0, -y, z), (0, y, z), 0.6 * thickness, sides=sides))
    return join(*parts)


def pedestal(rng: np.random.Generator, radius: float, column: float, height: float) -> Mesh:
    """A column of radius ``column`` on a foot of ``radius``: a disc or three to five spokes."""
    if rng.random() < 0.5:
        foot_height = rng.uniform(0.01, 0.04)
        foot = cylinder(radius, 0.0, foot_height)
    else:
        foot_height = rng.uniform(0.06, 0.1)
        spokes = int(rng.integers(3, 6))
        ends = superellipse(2 * radius, 2 * radius, samples=spokes)
        top = (0, 0, foot_height)
        foot = join(*(rod((x, y, column / 2), top, column / 2) for x, y in ends))
    return join(foot, cylinder(column, foot_height, height))


def side_panels(rng: np.random.Generator, depth: float, width: float, height: float) -> Mesh:
    """Two upright boards under the left and right edges."""
    thickness = rng.uniform(0.02, 0.05)
    panel_depth = depth * rng.uniform(0.7, 1.0)
    y = width / 2 - thickness / 2 - rng.uniform(0.0, 0.1) * width
    return mirrored(box((panel_depth, thickness, height), (0, y, 0)), Y)


def sled(rng: np.random.Generator, depth: float, width: float, height: float) -> Mesh:
    """Two upright rectangular frames of bar, left and right."""
    radius = rng.uniform(0.01, 0.025)
    x, y = depth / 2 - radius, width / 2 - radius
    frame = join(
        rod((-x, y, radius), (x, y, radius), radius, sides=4),
        rod((-x, y, 0), (-x, y, height), radius, sides=4),
        rod((x, y, 0), (x, y, height), radius, sides=4),
    )
    return mirrored(frame, Y)


def flat_top(
    rng: np.random.Generator, depth: float, width: float, bottom: float, thickness: float
) -> Mesh:
    """A seat or table top: rectangular, with rounded corners, or elliptical."""
    kind = rng.random()
    if kind < 0.45:
        return box((depth, width, thickness), (0, 0, bottom))
    exponent = rng.uniform(3.0, 6.0) if kind < 0.75 else 2.0
    return prism(superellipse(depth, width, exponent=exponent), bottom, bottom + thickness)
