"""What counts as the same, in one place, with the reason and what it was chosen on.

Lengths are shares of a shape's diameter, twice the distance of its farthest point from its
centre. They were chosen on the planted collection of ``python -m benchmarks.planted``: copies of
procedural shapes and of ``psb_off``, and pairs of these that are no copies.
"""

EXACT_RMS = 5e-5
"""Root mean square distance of two surfaces below which they are the same one. Single precision and
six digits of text leave 1e-6 of it; noise of half a percent, or a hole, leave more."""

EXACT_FARTHEST = 5e-4
"""And no point that was looked at may lie farther: a small hole moves few points, by much."""

EXACT_AREA = 2e-3
"""And their areas may differ by this share."""

NEAR_RMS = 0.006
"""Root mean square distance up to which two shapes may be near-copies: noise of 0.5 %, a hole more
or a coarser mesh lie below, two chairs of one kind above. So do plates with holes in like places,
whose differences are neither of the next two."""

ALL_OVER = 5.5
"""How many times the root mean square distance the farthest point may lie off where two near-copies
differ all over: 5.5 with noise at most, 4.6 in coarser meshes, 5 to 11 in plates that are alike."""

IN_ONE_PLACE = 10.0
"""How many times as far it lies at least where they differ in one place, while half of the points
lie within `EXACT_FARTHEST`: 11 to 21 with a hole more. Both ratios were chosen on 110 near-copies
and 63 pairs that were merely alike."""

CLEARLY_BETTER = 0.5
"""A shape is mirrored where the best reflected alignment leaves less than this share of what the
best unreflected one leaves."""

SAME_SCALE = 1e-3
"""Relative difference of size up to which two shapes have the same one; inch and millimetre, or
metre and foot, differ by much more."""

SAME_ANGLE = 0.2
"""Degrees up to which two shapes face alike."""

INVARIANTS = 2e-3
"""How far the measures that no movement, scaling or new triangulation changes may differ for an
exact comparison to be worth while: above what single precision leaves, below most pairs."""

NEAR_INVARIANTS = 0.08
"""The same for near-copies, which noise and holes change."""

NEAR_FINER_INVARIANTS = (0.25, 0.25, 0.15, 0.15, 0.15)
"""The same for each of the finer ones. The 43 near-copies that are found of ``benchmarks.near
--seed 101`` differ by 0.12, 0.08, 0.04, 0.06 and 0.10 at most, one of seed 103 by 0.16 in the
first two."""

NEIGHBORS = 8
"""Nearest shapes of each in the embedding that are compared with it."""

UNIT_RATIOS = {
    25.4: "inches and millimetres",
    1000.0: "metres and millimetres",
    10.0: "centimetres and millimetres",
    100.0: "metres and centimetres",
    39.37007874: "metres and inches",
    304.8: "feet and millimetres",
    12.0: "feet and inches",
    2.54: "inches and centimetres",
}
"""Ratios of sizes that units of length explain."""
