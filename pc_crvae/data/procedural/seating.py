"""Furniture to sit or lie on."""

import numpy as np

from pc_crvae.data.procedural.solids import (
    X,
    Y,
    arc,
    box,
    ellipsoid,
    join,
    leaned,
    mirrored,
    moved,
    prism,
    rod,
    superellipse,
    tube,
)
from pc_crvae.data.procedural.supports import flat_top, legs, pedestal, side_panels, sled
from pc_crvae.data.surface_sampling import Mesh


def _backrest(rng: np.random.Generator, width: float, height: float) -> Mesh:
    """A back standing on z = 0 in the plane x = 0: panel, upright slats, rails, or open frame."""
    thickness = rng.uniform(0.015, 0.05)
    y = width / 2 - thickness / 2
    style = rng.integers(4)
    if style == 0:
        gap = rng.uniform(0.0, 0.3) * height
        panel = box((thickness, width, height - gap), (0, 0, gap))
        posts = mirrored(rod((0, 0.7 * y, 0), (0, 0.7 * y, height / 2), 0.015), Y)
        return join(panel, posts)

    posts = mirrored(box((thickness, thickness, height), (0, y, 0)), Y)
    if style == 1:
        rail_height = rng.uniform(0.04, 0.12) * height
        places = np.linspace(-y, y, int(rng.integers(4, 9)))[1:-1]
        slats = [box((thickness / 2, 0.025, height), (0, at, 0)) for at in places]
        return join(posts, box((thickness, width, rail_height), (0, 0, height)), *slats)
    if style == 2:
        rails = int(rng.integers(2, 5))
        rail_height = rng.uniform(0.3, 0.7) * height / rails
        levels = (np.arange(rails) + 1) * height / rails - rail_height
        across = (box((thickness / 2, width, rail_height), (0, 0, level)) for level in levels)
        return join(posts, *across)
    bow = arc(1.0, 0, 180) * (y, 0.35 * height)
    path = np.stack((np.zeros(len(bow)), bow[:, 0], height + bow[:, 1]), axis=1)
    splat = box((0.01, 0.35 * width, 1.2 * height), (0, 0, 0))
    return join(posts, tube(path, thickness / 2), splat)


def _armrests(rng: np.random.Generator, depth: float, width: float, seat: float) -> Mesh:
    """Two arms on posts, or two closed sides, over a seat at height ``seat``."""
    rise = rng.uniform(0.15, 0.26)
    thickness = rng.uniform(0.025, 0.06)
    y = width / 2 + thickness / 2
    if rng.random() < 0.25:
        return mirrored(box((depth, thickness, rise + 0.08), (0, y, seat - 0.08)), Y)
    length = depth * rng.uniform(0.6, 1.0)
    arm = box((length, thickness, 0.025), ((length - depth) / 2, y, seat + rise))
    post = rod((length - 0.55 * depth, y, seat), (length - 0.55 * depth, y, seat + rise), 0.015)
    return mirrored(join(arm, post), Y)


def _seat_support(rng: np.random.Generator, depth: float, width: float, height: float) -> Mesh:
    style = rng.random()
    if style < 0.6:
        return legs(rng, depth, width, height)
    if style < 0.85:
        return pedestal(rng, 0.5 * max(depth, width), rng.uniform(0.02, 0.05), height)
    return sled(rng, depth, width, height)


def chair(rng: np.random.Generator) -> Mesh:
    """A seat at knee height with a back, with or without arms."""
    seat_height = rng.uniform(0.36, 0.55)
    width, depth = rng.uniform(0.36, 0.62), rng.uniform(0.36, 0.58)
    back_height = rng.uniform(0.18, 0.75)
    cushion = rng.uniform(0.02, 0.12)

    top = seat_height + cushion
    back = leaned(_backrest(rng, width * rng.uniform(0.75, 1.0), back_height), rng.uniform(0, 0.3))
    parts = [
        _seat_support(rng, depth, width, seat_height),
        flat_top(rng, depth, width, seat_height, cushion),
        moved(back, (-0.45 * depth, 0, top - 0.02)),
    ]
    if rng.random() < 0.4:
        parts.append(_armrests(rng, depth, width, top))
    return join(*parts)


def stool(rng: np.random.Generator) -> Mesh:
    """A small seat, low or of bar height, mostly without a back."""
    height = rng.uniform(0.3, 0.85)
    width = rng.uniform(0.28, 0.5)
    depth = width * rng.uniform(0.75, 1.05)
    cushion = rng.uniform(0.02, 0.12)
    parts = [_seat_support(rng, depth, width, height), flat_top(rng, depth, width, height, cushion)]
    if rng.random() < 0.3:
        ring = arc(0.42 * min(width, depth), 0, 360, samples=17)
        level = np.full((len(ring), 1), rng.uniform(0.25, 0.5) * height)
        parts.append(tube(np.hstack((ring, level)), 0.012, capped=False))
    if rng.random() < 0.25:
        back = _backrest(rng, 0.85 * width, rng.uniform(0.08, 0.3))
        parts.append(moved(back, (-0.45 * depth, 0, height + cushion)))
    return join(*parts)


def bench(rng: np.random.Generator) -> Mesh:
    """A long seat of boards, with or without a back and arms."""
    width, depth = rng.uniform(0.85, 2.0), rng.uniform(0.3, 0.55)
    height = rng.uniform(0.35, 0.5)
    boards = int(rng.integers(1, 6))
    board_depth = depth / boards * (0.85 if boards > 1 else 1.0)
    parts = [
        box((board_depth, width, rng.uniform(0.02, 0.08)), (x, 0, height))
        for x in depth * ((np.arange(boards) + 0.5) / boards - 0.5)
    ]
    support = legs if rng.random() < 0.6 else side_panels
    parts.append(support(rng, depth, width, height))
    if rng.random() < 0.5:
        back = _backrest(rng, width, rng.uniform(0.25, 0.5))
        back = leaned(back, rng.uniform(0.0, 0.3))
        parts.append(moved(back, (-0.48 * depth, 0, height)))
        if rng.random() < 0.5:
            parts.append(_armrests(rng, depth, width, height))
    return join(*parts)


def sofa(rng: np.random.Generator) -> Mesh:
    """An upholstered block with a thick back, from an armchair to a corner sofa."""
    width, depth = rng.uniform(0.75, 2.5), rng.uniform(0.7, 1.0)
    seat_height = rng.uniform(0.34, 0.48)
    back_height = rng.uniform(0.28, 0.55)
    back_depth = rng.uniform(0.12, 0.28)
    arm_width = rng.uniform(0.06, 0.26)
    foot = rng.uniform(0.0, 0.14)
    cushions = max(1, round(width / rng.uniform(0.55, 0.9)))
    cushion_height = rng.uniform(0.05, 0.16)

    back = leaned(box((back_depth, width, back_height), (0, 0, 0)), rng.uniform(0.0, 0.3))
    parts = [
        box((depth, width, seat_height - foot - cushion_height), (0, 0, foot)),
        moved(back, (-(depth - back_depth) / 2, 0, seat_height)),
        legs(rng, depth, width, foot),
    ]
    outline = superellipse(depth - back_depth, width / cushions, exponent=6.0)
    cushion = prism(outline, seat_height - cushion_height, seat_height)
    row = width * ((np.arange(cushions) + 0.5) / cushions - 0.5)
    parts += [moved(cushion, (back_depth / 2, y, 0)) for y in row]
    if rng.random() < 0.75:
        arm_height = seat_height - foot + rng.uniform(0.08, 0.28)
        y = (width + arm_width) / 2
        arm = box((depth, arm_width, arm_height), (0, y, foot))
        if rng.random() < 0.4:
            roll = rod((-depth / 2, 0, 0), (depth / 2, 0, 0), 0.55 * arm_width)
            arm = join(arm, moved(roll, (0, y, foot + arm_height)))
        parts.append(mirrored(arm, Y))
    if width > 1.5 and rng.random() < 0.25:
        reach = rng.uniform(0.4, 0.8)
        side = rng.choice((-1.0, 1.0)) * width / 3
        parts.append(box((reach, width / 3, seat_height - foot), ((depth + reach) / 2, side, foot)))
    return join(*parts)


def bed(rng: np.random.Generator) -> Mesh:
    """A mattress with pillows on a frame: single, double, with end boards, day bed or bunk."""
    width, length = rng.uniform(0.8, 2.0), rng.uniform(1.85, 2.15)
    frame_height, frame_depth = rng.uniform(0.12, 0.4), rng.uniform(0.05, 0.2)
    top = frame_height + rng.uniform(0.12, 0.32)
    pillows = 1 if width < 1.3 else 2

    frame = box((length, width, frame_depth), (0, 0, frame_height - frame_depth))
    mattress = prism(0.97 * superellipse(length, width, exponent=9.0), frame_height, top)
    pillow = ellipsoid((0.18, 0.4 * width / pillows, 0.07), (-0.38 * length, 0, top))
    pillow_row = width * ((np.arange(pillows) + 0.5) / pillows - 0.5)
    lying = join(frame, mattress, *(moved(pillow, (0, y, 0)) for y in pillow_row))
    parts = [lying, legs(rng, length, width, frame_height)]

    if rng.random() < 0.12:
        lift = rng.uniform(0.9, 1.2)
        post = rod((length / 2, width / 2, 0), (length / 2, width / 2, top + lift + 0.3), 0.04)
        return join(*parts, moved(lying, (0, 0, lift)), mirrored(mirrored(post, X), Y))

    headboard_height = top + rng.uniform(0.05, 0.8)
    if rng.random() < 0.85:
        if rng.random() < 0.6:
            headboard = box((0.06, width, headboard_height), (0, 0, 0))
        else:
            headboard = _backrest(rng, width, headboard_height)
        parts.append(moved(headboard, (-length / 2, 0, 0)))
    if rng.random() < 0.45:
        footboard_height = rng.uniform(0.5, 0.95) * headboard_height
        parts.append(box((0.05, width, footboard_height), (length / 2, 0, 0)))
    if width < 1.3 and rng.random() < 0.3:
        parts.append(box((length, 0.05, headboard_height), (0, width / 2, 0)))
    return join(*parts)
