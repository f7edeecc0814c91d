"""The conditions that test shapes are put under: rotated, corrupted, occluded, short of points."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.clouds import CloudSet, normalize
from pc_crvae.embedding.names import SETTINGS
from pc_crvae.errors import UserError
from pc_crvae.evaluation.robustness import corruptions
from pc_crvae.evaluation.robustness.occlusion import camera_at, visible_points
from pc_crvae.evaluation.rotations import rotated
from pc_crvae.randomness.keys import keyed_numpy_generator

ConditionPart = Literal["rotation", "corruption", "occlusion", "points"]
PARTS: tuple[ConditionPart, ...] = get_args(ConditionPart)

OCCLUSIONS = ("in_place", "normalized")
"""What is seen stays where it was, or is centred and scaled anew, as a scan of it would be."""

Clouds = NDArray[np.float32] | Sequence[NDArray[np.float32]]
"""(n, N, 3), or n clouds (N_i, 3) of different sizes."""


@dataclass(frozen=True)
class Condition:
    """One thing done to all test shapes.

    Attributes:
        part: the part of the table it belongs to.
        name: the rotation, the corruption, how occluded shapes are placed, or ``count``.
        level: severity, elevation of the camera in degrees, or count of points; 0 for a rotation.
    """

    part: ConditionPart
    name: str
    level: int

    def __str__(self) -> str:
        return f"{self.part} {self.name}" + (f" {self.level:,}" if self.part != "rotation" else "")


def conditions_of(
    parts: Sequence[ConditionPart], elevations: Sequence[int], point_counts: Sequence[int]
) -> tuple[Condition, ...]:
    """List the conditions of some parts; the shapes as they are always come first."""
    of_part = {
        "rotation": [Condition("rotation", name, 0) for name in SETTINGS[1:]],
        "corruption": [
            Condition("corruption", *how)
            for how in product(corruptions.CORRUPTIONS, corruptions.SEVERITIES)
        ],
        "occlusion": [Condition("occlusion", *how) for how in product(OCCLUSIONS, elevations)],
        "points": [Condition("points", "count", count) for count in sorted(point_counts)],
    }
    chosen = [condition for part in PARTS if part in parts for condition in of_part[part]]
    return (Condition("rotation", "aligned", 0), *chosen)


def check_points(conditions: Sequence[Condition], points: int, available: int) -> None:
    """Refuse conditions that clouds of so few points cannot be put under.

    Args:
        conditions: all of a protocol.
        points: the points of each cloud under every condition but those of the part ``points``.
        available: the number of points that the test shapes have.

    Raises:
        UserError: which, and what to do without.
    """
    most = max(corruptions.LOCAL_POINTS)
    if points <= most and any(condition.part == "corruption" for condition in conditions):
        raise UserError(
            f"the corruptions leave out up to {most} points, and the shapes have {points}: "
            "take shapes of more points, or leave the corruptions out"
        )
    for condition in conditions:
        if condition.part == "points" and condition.level > available:
            raise UserError(
                f"the shapes have {available:,} points, fewer than the {condition.level:,} of "
                "the part points: leave that count out"
            )


def apply_condition(
    condition: Condition, clouds: NDArray[np.float32], test: CloudSet, seed: int
) -> Clouds:
    """Return what becomes of the test shapes under a condition.

    Args:
        condition: the condition to make.
        clouds: (n, N, 3), all the shapes of ``test``, as they are.
        test: the set that shapes of another count of points are drawn from.
        seed: fixes all that is drawn, a shape's by its place.
    """
    match condition.part:
        case "rotation":
            # The probe's own draws, so that its rows and these agree.
            return rotated(clouds, condition.name, "probe rotation", condition.name, seed)
        case "corruption":
            return corruptions.corrupt(clouds, condition.name, condition.level, "robustness", seed)
        case "occlusion":
            return _occlude(clouds, condition, seed)
        case "points":
            return test.batch(range(len(test)), condition.level, "robustness points", seed)


def _occlude(
    clouds: NDArray[np.float32], condition: Condition, seed: int
) -> list[NDArray[np.float32]]:
    """What one camera a cloud sees; both ways of placing it use the same cameras."""
    azimuths = keyed_numpy_generator("robustness camera", condition.level, seed).uniform(
        0, 360, len(clouds)
    )
    seen = [
        cloud[visible_points(cloud, camera_at(condition.level, azimuth))]
        for cloud, azimuth in zip(clouds, azimuths, strict=True)
    ]
    if condition.name == "normalized":
        return [normalize(cloud[None])[0] for cloud in seen]
    return seen
