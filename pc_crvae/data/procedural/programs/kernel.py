"""Points drawn uniformly by area from patches of surface, by rejection.

A candidate falls on patch k with a probability in proportion to the largest area element M_k of k,
anywhere in k's unit square, and is kept with probability w / M_k, w being the area element there.
So the kept ones are uniform by area over all patches together, whatever the parametrisations, and
no area is ever needed. A point that lies inside another solid, or was cut away, is dropped.
"""

import numba
import numpy as np

from pc_crvae.data.procedural.programs.rows import MOST_KNOTS, NUMBERS, Patch, Solid
from pc_crvae.geometry.kernels.cpu.parallel import compiled

_OWNER = NUMBERS - 1
_SKIN = 1e-6
"""Of a solid's half-axes: a point this close to its surface is not inside."""

_helper = numba.njit(nogil=True, error_model="numpy")


@_helper
def _norm(x, y, z):  # type: ignore[no-untyped-def]
    return np.sqrt(x * x + y * y + z * z)


@_helper
def _cross(row, first, second):  # type: ignore[no-untyped-def]
    """The cross product of the vectors that begin at two columns."""
    ax, ay, az = row[first], row[first + 1], row[first + 2]
    bx, by, bz = row[second], row[second + 1], row[second + 2]
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


@_helper
def _height(numbers, u, v):  # type: ignore[no-untyped-def]
    first = numbers[1] * np.sin(2 * np.pi * (numbers[2] * u + numbers[3] * v) + numbers[4])
    second = numbers[5] * np.sin(2 * np.pi * (numbers[6] * u + numbers[7] * v) + numbers[8])
    return numbers[0] + first + second


@_helper
def _slopes(numbers, u, v):  # type: ignore[no-untyped-def]
    first = numbers[1] * np.cos(2 * np.pi * (numbers[2] * u + numbers[3] * v) + numbers[4])
    second = numbers[5] * np.cos(2 * np.pi * (numbers[6] * u + numbers[7] * v) + numbers[8])
    along = 2 * np.pi * (first * numbers[2] + second * numbers[6])
    return along, 2 * np.pi * (first * numbers[3] + second * numbers[7])


@_helper
def _largest_element(row):  # type: ignore[no-untyped-def]
    """At least the largest area element of a patch over its unit square."""
    kind = int(row[0])
    nx, ny, nz = _cross(row, 4, 7)
    ab = _norm(nx, ny, nz)
    a = _norm(row[4], row[5], row[6])
    b = _norm(row[7], row[8], row[9])
    c = _norm(row[10], row[11], row[12])
    widest = max(a, b)
    first, second = row[NUMBERS], row[NUMBERS + 1]
    if kind == Patch.PARALLELOGRAM:
        return ab
    if kind == Patch.TRIANGLE:
        return ab / 2
    if kind == Patch.DISC:
        return np.pi * ab
    if kind == Patch.FRUSTUM:
        leaning = (second - first) * widest
        return 2 * np.pi * max(first, second) * widest * np.sqrt(leaning * leaning + c * c)
    if kind == Patch.ELLIPSOID:
        return 4 * np.pi * max(a * b, b * c, a * c)
    if kind == Patch.TORUS:
        return 4 * np.pi * np.pi * (1 + first) * widest * max(first * widest, c)
    if kind == Patch.FIELD:
        n = row[NUMBERS:]
        along = 2 * np.pi * (abs(n[1] * n[2]) + abs(n[5] * n[6]))
        across = 2 * np.pi * (abs(n[1] * n[3]) + abs(n[5] * n[7]))
        return np.sqrt((a * b) ** 2 + (along * b * c) ** 2 + (across * a * c) ** 2)
    return a * c * (abs(row[NUMBERS]) + abs(row[NUMBERS + 1]) + abs(row[NUMBERS + 5]))


@_helper
def _combined(row, x, y, z):  # type: ignore[no-untyped-def]
    """The vector x a + y b + z c."""
    return (
        x * row[4] + y * row[7] + z * row[10],
        x * row[5] + y * row[8] + z * row[11],
        x * row[6] + y * row[9] + z * row[12],
    )


@_helper
def _normal(row, x, y, z):  # type: ignore[no-untyped-def]
    """The vector x (b x c) + y (c x a) + z (a x b)."""
    bx, by, bz = _cross(row, 7, 10)
    cx, cy, cz = _cross(row, 10, 4)
    ax, ay, az = _cross(row, 4, 7)
    return x * bx + y * cx + z * ax, x * by + y * cy + z * ay, x * bz + y * cz + z * az


@_helper
def _at(row, u, v):  # type: ignore[no-untyped-def]
    """Where (u, v) lies, along a, b and c, and the area vector there, along b x c and so on."""
    kind = int(row[0])
    first, second = row[NUMBERS], row[NUMBERS + 1]
    if kind == Patch.PARALLELOGRAM:
        return u, v, 0.0, 0.0, 0.0, 1.0
    if kind == Patch.TRIANGLE:
        if u + v > 1:
            u, v = 1 - u, 1 - v
        return u, v, 0.0, 0.0, 0.0, 0.5
    if kind == Patch.DISC:
        radius, angle = np.sqrt(u), 2 * np.pi * v
        return radius * np.cos(angle), radius * np.sin(angle), 0.0, 0.0, 0.0, np.pi
    if kind == Patch.FRUSTUM:
        scale, growth = first + (second - first) * u, second - first
        cos, sin = np.cos(2 * np.pi * v), np.sin(2 * np.pi * v)
        around = 2 * np.pi * scale
        return scale * cos, scale * sin, u, around * cos, around * sin, -around * growth
    if kind == Patch.ELLIPSOID:
        z = 2 * u - 1
        level = np.sqrt(max(0.0, 1 - z * z))
        x, y = level * np.cos(2 * np.pi * v), level * np.sin(2 * np.pi * v)
        around = 4 * np.pi
        return x, y, z, around * x, around * y, around * z
    if kind == Patch.TORUS:
        cos, sin = np.cos(2 * np.pi * u), np.sin(2 * np.pi * u)
        out, up = np.cos(2 * np.pi * v), np.sin(2 * np.pi * v)
        ring = 1 + first * out
        around = 4 * np.pi * np.pi * ring
        x, y = ring * cos, ring * sin
        return x, y, up, around * out * cos, around * out * sin, around * first * up
    numbers = row[NUMBERS:]
    if kind == Patch.FIELD:
        along, across = _slopes(numbers, u, v)
        return u, v, _height(numbers, u, v), -along, -across, 1.0
    height = _height(numbers, numbers[9] + numbers[11] * u, numbers[10] + numbers[12] * u)
    return u, 0.0, v * height, 0.0, height, 0.0


@_helper
def _radius_of_knots(numbers, z):  # type: ignore[no-untyped-def]
    count = int(numbers[0])
    for knot in range(1, count):
        foot, top = numbers[knot], numbers[knot + 1]
        if z <= top:
            share = (z - foot) / (top - foot) if top > foot else 1.0
            low = numbers[MOST_KNOTS + knot]
            return low + share * (numbers[MOST_KNOTS + knot + 1] - low)
    return 0.0


@_helper
def holds(row, px, py, pz):  # type: ignore[no-untyped-def]
    """Whether a solid, its axes divided by the squares of their lengths, has a point inside."""
    dx, dy, dz = px - row[1], py - row[2], pz - row[3]
    limit = 1 - _SKIN
    z = dx * row[10] + dy * row[11] + dz * row[12]
    if abs(z) >= limit:
        return False
    x = dx * row[4] + dy * row[5] + dz * row[6]
    if abs(x) >= limit:
        return False
    y = dx * row[7] + dy * row[8] + dz * row[9]
    if abs(y) >= limit:
        return False
    kind, numbers = int(row[0]), row[NUMBERS:]
    if kind == Solid.BOX:
        return True
    square = x * x + y * y
    if kind == Solid.FRUSTUM:
        scale = (numbers[0] + (numbers[1] - numbers[0]) * (z + 1) / 2) * limit
        return square < scale * scale
    if kind == Solid.ELLIPSOID:
        return square + z * z < limit
    if kind == Solid.TORUS:
        # The outer rim lies at 1, so the tube's centre at 1 / (1 + q).
        q = numbers[0]
        off = (np.sqrt(square) * (1 + q) - 1) / q
        return off * off + z * z < limit
    if kind == Solid.PRISM:
        sides = int(numbers[0])
        scale = numbers[2] + (numbers[3] - numbers[2]) * (z + 1) / 2
        apothem = np.cos(np.pi / sides) * scale * limit
        for side in range(sides):
            angle = numbers[1] + np.pi * (2 * side + 1) / sides
            if x * np.cos(angle) + y * np.sin(angle) >= apothem:
                return False
        return True
    if kind == Solid.REVOLUTION:
        radius = _radius_of_knots(numbers, z) * limit
        return square < radius * radius
    return (z + 1) / 2 < _height(numbers, (x + 1) / 2, (y + 1) / 2) * limit


@_helper
def _is_seen(owner, solids, parts, hides, px, py, pz):  # type: ignore[no-untyped-def]
    """Whether a point of a surface is one of the whole: not inside a part, and not cut away.

    Solids from the ``parts``-th on are cut out of those before. The surface of what is cut out is
    seen where it lies inside a part.
    """
    for cut in range(parts, len(solids)):
        if cut != owner and holds(solids[cut], px, py, pz):
            return False
    is_cut = owner >= parts
    if is_cut or hides:
        for part in range(parts):
            if part != owner and holds(solids[part], px, py, pz):
                return is_cut
    return not is_cut


@_helper
def _tapered(taper, px, py, pz, nx, ny, nz):  # type: ignore[no-untyped-def]
    """A point and an area vector under (x, y, z) -> (x gx(z), y gy(z), z), linear in z."""
    slope_x, slope_y = taper[2], taper[3]
    gx, gy = taper[0] + slope_x * pz, taper[1] + slope_y * pz
    up = gx * gy * nz - gy * slope_x * px * nx - gx * slope_y * py * ny
    return px * gx, py * gy, pz, gy * nx, gx * ny, up


@compiled
def fill_bounds(patches, bounds):  # type: ignore[no-untyped-def]
    """Fill ``bounds`` (K,) with the running sum of the patches' largest area elements."""
    total = 0.0
    for k in range(len(patches)):
        total += _largest_element(patches[k])
        bounds[k] = total


@compiled
def draw(patches, bounds, solids, parts, hides, taper, uniforms, points, filled):  # type: ignore[no-untyped-def]
    """Draw candidates until the points are full or the uniforms are used up.

    Args:
        patches: (K, PATCH_WIDTH) float64.
        bounds: (K,) float64, of :func:`fill_bounds`.
        solids: (S, SOLID_WIDTH) float64, their axes divided by the squares of their lengths.
        parts: how many of the solids are parts; the others are cut out of them.
        hides: whether points inside a part are dropped.
        taper: (5,) float64: factors on x and y at z = 0, how both grow with z, and at least the
            most that it stretches any area.
        uniforms: (M, 4) float64 on [0, 1).
        points: (N, 3) float64, filled from row ``filled`` on.
        filled: rows that are filled already.

    Returns:
        Rows that are filled by now.
    """
    total = bounds[-1]
    for m in range(len(uniforms)):
        if filled == len(points):
            break
        k = min(np.searchsorted(bounds, uniforms[m, 0] * total, side="right"), len(bounds) - 1)
        row = patches[k]
        largest = bounds[k] - bounds[k - 1] if k else bounds[0]
        x, y, z, nx, ny, nz = _at(row, uniforms[m, 1], uniforms[m, 2])
        px, py, pz = _combined(row, x, y, z)
        px, py, pz = px + row[1], py + row[2], pz + row[3]
        nx, ny, nz = _normal(row, nx, ny, nz)
        qx, qy, qz, nx, ny, nz = _tapered(taper, px, py, pz, nx, ny, nz)
        if _norm(nx, ny, nz) < uniforms[m, 3] * largest * taper[4]:
            continue
        if _is_seen(int(row[_OWNER]), solids, parts, hides, px, py, pz):
            points[filled] = qx, qy, qz
            filled += 1
    return filled
