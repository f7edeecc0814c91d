"""How a program's surfaces and solids lie in arrays, which a compiled kernel draws points from.

A row is a patch of surface, or a solid, in an affine frame: p is an origin plus a combination of
axes a, b and c, which are at right angles unless the patch is flat. So a row is moved, turned and
mirrored by its four vectors alone, and its numbers need no change.
"""

from enum import IntEnum

ORIGIN, OWNER, NUMBERS = 1, 13, 14
"""Columns behind that of the kind: origin, a, b and c; the solid whose surface it is, or -1;
numbers."""

VECTORS = slice(ORIGIN, OWNER)

FIELD_NUMBERS = 9
"""Of a height over the unit square: base, then amplitude, two frequencies and a phase, twice."""

MOST_KNOTS = 16
"""Of the profile of a surface of revolution."""

PATCH_WIDTH = NUMBERS + FIELD_NUMBERS + 4
SOLID_WIDTH = NUMBERS + 1 + 2 * MOST_KNOTS


class Patch(IntEnum):
    """Kinds of patch, each an image of the unit square (u, v)."""

    PARALLELOGRAM = 0
    """u a + v b."""
    TRIANGLE = 1
    """u a + v b, for u + v < 1."""
    DISC = 2
    """Half-axes a and b."""
    FRUSTUM = 3
    """The side of an elliptic frustum along c; numbers: the scale at its foot and at its top."""
    ELLIPSOID = 4
    """Half-axes a, b and c."""
    TORUS = 5
    """About c, its tube's centre on the ellipse of a and b; number: the tube's width to a's."""
    FIELD = 6
    """u a + v b + height(u, v) c; numbers: of the height."""
    WALL = 7
    """The wall under an edge of a field; numbers: of the height, then where the edge starts, and
    the way it goes, in the unit square."""


class Solid(IntEnum):
    """Kinds of solid, in coordinates (x, y, z) along the half-axes a, b and c."""

    BOX = 0
    FRUSTUM = 1
    """Numbers: as of the patch."""
    ELLIPSOID = 2
    TORUS = 3
    """Number: as of the patch."""
    PRISM = 4
    """A regular polygon of radius 1; numbers: its sides, phase, scale at the foot and the top."""
    REVOLUTION = 5
    """Numbers: how many knots, their heights, rising in [-1, 1], and from the MOST_KNOTS-th on
    their radii."""
    FIELD = 6
    """The ground below a height; numbers: of the height, over the square [-1, 1]^2."""
