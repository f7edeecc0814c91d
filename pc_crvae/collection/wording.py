"""What was found of a pair, in plain words."""

from collections.abc import Mapping

from pc_crvae.collection import thresholds
from pc_crvae.collection.comparison import Comparison, Kind
from pc_crvae.collection.duplicates import Finding
from pc_crvae.collection.shapes import Shape

TITLES: Mapping[Kind, str] = {
    "same file": "The same file",
    "same geometry": "The same geometry in another file",
    "scaled": "The same shape in another size",
    "turned": "The same shape, turned",
    "near": "Nearly the same",
    "mirrored": "Mirror images, which are no duplicates",
}
"""Headings of lists of pairs, in the order in which they are told."""


def describe(
    finding: Finding, names: tuple[str, str], shapes: tuple[Shape | None, Shape | None]
) -> str:
    """Return a sentence on a pair.

    Args:
        finding: the pair.
        names: the names of the first and of the second.
        shapes: their measures.
    """
    first, second = names
    found = finding.comparison
    is_same_size = abs(found.scale - 1) <= 5 * thresholds.SAME_SCALE
    size = "" if is_same_size else f", {_size(found)}"
    match finding.kind:
        case "same file":
            return f"{second} is the same file as {first}, byte for byte."
        case "same geometry":
            return f"{second} has the geometry of {first}{_counts(shapes)}."
        case "scaled":
            return f"{second} is {first}, {_size(found)}{_turn(found)}."
        case "turned":
            return f"{second} is {first}{_turn(found)}."
        case "mirrored":
            return f"{second} is the mirror image of {first}{size}."
        case "near":
            is_in_one_place = found.farthest >= thresholds.IN_ONE_PLACE * found.apart
            place = ", and differ in one place" if is_in_one_place else ""
            return (
                f"{second} is nearly {first}{size}{_turn(found)}: they lie {found.apart:.2%} of "
                f"their size apart on average, {found.farthest:.1%} at most{place}."
            )


def _counts(shapes: tuple[Shape | None, Shape | None]) -> str:
    first, second = shapes
    if first is None or second is None or first.triangles == second.triangles:
        return ""
    return f", with {second.triangles:,} triangles instead of {first.triangles:,}"


def _size(found: Comparison) -> str:
    is_larger = found.scale >= 1
    ratio = found.scale if is_larger else 1 / found.scale
    units = ""
    for known, names in thresholds.UNIT_RATIOS.items():
        if abs(ratio / known - 1) <= thresholds.SAME_SCALE:
            units = f" ({names})"
    if is_larger:
        return f"{ratio:.5g} times as large{units}"
    return f"smaller by a factor of {ratio:.5g}{units}"


def _turn(found: Comparison) -> str:
    if found.degrees <= 5 * thresholds.SAME_ANGLE:
        return ""
    side = ", so that it lies on another side" if found.on_side else ""
    return f", turned by {found.degrees:.0f}°{side}"
