"""Furniture to put things on or in, and the ladder to reach them."""

import numpy as np

from pc_crvae.data.procedural.solids import Y, box, ellipsoid, join, leaned, mirrored, moved, rod
from pc_crvae.data.procedural.supports import flat_top, legs, pedestal, side_panels, sled
from pc_crvae.data.surface_sampling import Mesh


def table(rng: np.random.Generator) -> Mesh:
    """A top on legs, a pedestal, panels or frames: coffee, dining and high tables."""
    height = rng.uniform(0.32, 1.05)
    width = rng.uniform(0.38, 2.0)
    depth = min(width, 1.2) * rng.uniform(0.5, 1.0)
    thickness = rng.uniform(0.015, 0.08)

    parts = [flat_top(rng, depth, width, height, thickness)]
    style = rng.random()
    if style < 0.55:
        parts.append(legs(rng, 0.95 * depth, 0.95 * width, height))
        if rng.random() < 0.4:
            apron = rng.uniform(0.06, 0.12)
            parts.append(box((0.75 * depth, 0.75 * width, apron), (0, 0, height - apron)))
    elif style < 0.75:
        parts.append(pedestal(rng, 0.35 * depth, rng.uniform(0.02, 0.06), height))
    elif style < 0.88:
        parts.append(side_panels(rng, depth, width, height))
    else:
        parts.append(sled(rng, 0.8 * depth, 0.9 * width, height))
    if rng.random() < 0.25:
        level = rng.uniform(0.2, 0.5) * height
        parts.append(box((0.75 * depth, 0.75 * width, 0.02), (0, 0, level)))
    return join(*parts)


def _drawers(depth: float, width: float, height: float, rows: int, columns: int) -> Mesh:
    """A case standing on z = 0 whose front (+x) shows a grid of drawers with knobs."""
    gap = 0.015
    row_height, column_width = height / rows, width / columns
    parts = [box((depth, width, height), (0, 0, 0))]
    for row in range(rows):
        for y in width * ((np.arange(columns) + 0.5) / columns - 0.5):
            front = (0.02, column_width - 2 * gap, row_height - 2 * gap)
            parts.append(box(front, (depth / 2 + 0.01, y, row * row_height + gap)))
            knob_at = (depth / 2 + 0.035, y, (row + 0.5) * row_height)
            parts.append(box((0.03, 0.3 * column_width, 0.025), knob_at))
    return join(*parts)


def desk(rng: np.random.Generator) -> Mesh:
    """A work top with drawers on one or both sides, perhaps a back panel and shelves on top."""
    width, depth, height = rng.uniform(1.0, 1.8), rng.uniform(0.5, 0.85), rng.uniform(0.66, 0.8)
    thickness = rng.uniform(0.02, 0.05)
    case_width = rng.uniform(0.2, 0.36) * width
    case_height = height * rng.uniform(0.3, 1.0)
    rows = max(1, round(case_height / 0.2))

    case = _drawers(0.9 * depth, case_width, case_height, rows, 1)
    side = rng.choice((-1.0, 1.0)) * ((width - case_width) / 2 - 0.02)
    case = moved(case, (0, side, height - case_height))
    support = legs if rng.random() < 0.5 else side_panels
    parts = [
        box((depth, width, thickness), (0, 0, height)),
        mirrored(case, Y) if rng.random() < 0.4 else case,
        support(rng, depth, width, height),
    ]
    if rng.random() < 0.5:
        panel = rng.uniform(0.3, 0.9) * height
        parts.append(box((0.02, 0.9 * width, panel), (-0.45 * depth, 0, height - panel)))
    if rng.random() < 0.25:
        hutch = _shelves(rng, 0.25 * depth, width, 0.5, 2)
        parts.append(moved(hutch, (-0.37 * depth, 0, height)))
    return join(*parts)


def _shelves(
    rng: np.random.Generator, depth: float, width: float, height: float, levels: int
) -> Mesh:
    """Boards between two sides, standing on z = 0: perhaps with a back, perhaps with books."""
    thickness = rng.uniform(0.015, 0.045)
    pitch = (height - thickness) / levels
    side = box((depth, thickness, height), (0, (width - thickness) / 2, 0))
    parts = [mirrored(side, Y)]
    parts += [box((depth, width, thickness), (0, 0, i * pitch)) for i in range(levels + 1)]
    if rng.random() < 0.6:
        parts.append(box((0.01, width, height), (-depth / 2, 0, 0)))
    if rng.random() < 0.5:
        for level in range(levels):
            filled = width * rng.uniform(0.15, 0.9)
            books = np.linspace(-0.48 * width, filled - 0.48 * width, max(2, round(filled / 0.08)))
            parts += [
                box((0.7 * depth, 0.03, tall * pitch), (0, y, level * pitch + thickness))
                for y, tall in zip(books, rng.uniform(0.5, 0.85, len(books)), strict=True)
            ]
    return join(*parts)


def bookcase(rng: np.random.Generator) -> Mesh:
    """Shelves, wide or tall, perhaps divided upright or raised on legs."""
    width, depth = rng.uniform(0.45, 1.7), rng.uniform(0.22, 0.45)
    height = rng.uniform(0.7, 2.2)
    levels = max(2, round(height / rng.uniform(0.28, 0.45)))
    foot = rng.uniform(0.05, 0.2) if rng.random() < 0.35 else 0.0
    parts = [moved(_shelves(rng, depth, width, height, levels), (0, 0, foot))]
    if foot:
        parts.append(legs(rng, depth, width, foot))
    if width > 0.9 and rng.random() < 0.6:
        parts.append(box((depth, 0.02, height), (0, width * rng.uniform(-0.25, 0.25), foot)))
    return join(*parts)


def dresser(rng: np.random.Generator) -> Mesh:
    """A chest of drawers, from a night stand to a wide sideboard, perhaps with a mirror."""
    width, depth = rng.uniform(0.4, 1.6), rng.uniform(0.32, 0.6)
    height = rng.uniform(0.45, 1.4)
    rows, columns = max(1, round(height / rng.uniform(0.2, 0.4))), max(1, round(width / 0.65))
    foot = rng.uniform(0.04, 0.3) if rng.random() < 0.6 else 0.0
    parts = [
        moved(_drawers(depth, width, height, rows, columns), (0, 0, foot)),
        box((depth * 1.1, width * 1.06, 0.03), (0, 0, foot + height)),
    ]
    if foot:
        parts.append(legs(rng, depth, width, foot))
    if rng.random() < 0.2:
        size = (0.02, 0.35 * width, rng.uniform(0.3, 0.5))
        parts.append(ellipsoid(size, (-depth / 2.2, 0, foot + height + size[2])))
    return join(*parts)


def ladder(rng: np.random.Generator) -> Mesh:
    """A leaning ladder with rungs, or a stepladder with treads and a rear frame."""
    height = rng.uniform(1.0, 3.0)
    bottom_width = rng.uniform(0.32, 0.6)
    top_width = bottom_width * rng.uniform(0.55, 1.0)
    rail_radius, rung_radius = rng.uniform(0.02, 0.04), rng.uniform(0.012, 0.03)
    steps = max(3, round(height / rng.uniform(0.22, 0.38)))
    stepladder = rng.random() < 0.45

    rail = rod((0, bottom_width / 2, 0), (0, top_width / 2, height), rail_radius, sides=4)
    parts = [mirrored(rail, Y)]
    for level in (np.arange(steps) + 0.7) / steps:
        width = bottom_width + level * (top_width - bottom_width)
        if stepladder:
            parts.append(box((0.1, width, 0.025), (0, 0, level * height)))
        else:
            ends = (0, -width / 2, level * height), (0, width / 2, level * height)
            parts.append(rod(*ends, rung_radius))
    slope = rng.uniform(0.15, 0.35)
    front = leaned(join(*parts), slope)
    if not stepladder:
        return front
    rear = leaned(join(mirrored(rail, Y), *parts[1:2]), -slope)
    apex = (-slope * height, 0, height)
    rear = moved(rear, (-2 * slope * height, 0, 0))
    return join(front, rear, box((0.2, top_width, 0.03), apex))
