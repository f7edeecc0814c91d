"""What decides the numbers of robustness, apart from the encoders and the data."""

from collections.abc import Sequence
from dataclasses import dataclass

from pc_crvae.data.clouds import CloudSet
from pc_crvae.embedding.names import FEATURES, Setting, Untrained
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.classifier_settings import DEFAULT_C_GRID
from pc_crvae.evaluation.robustness.conditions import PARTS, Condition, ConditionPart, conditions_of

RECIPE_POINTS = 1024
"""Points of the clouds that the recipes of the corruptions are for."""

POINT_COUNTS = (64, 128, 256, 512, 1024, 2048, 4096)
"""For the part ``points``, as far as the test shapes have them."""

TRAINING_ROTATIONS: dict[Setting, tuple[Setting, ...]] = {
    "aligned": ("aligned", "z", "so3"),
    "z": ("z", "so3"),
    "so3": ("so3",),
}
"""How a classifier's training shapes are rotated, and what rotations its test shapes come under."""


@dataclass(frozen=True)
class RobustnessProtocol:
    """What decides the numbers, apart from the encoders and the data.

    Attributes:
        points: points drawn of each shape, under every condition but those of fewer or more.
        seeds: each is one draw of points, rotations, corruptions, cameras, folds and untrained
            weights.
        parts: the parts of the table, in any order.
        elevations: the elevations of the cameras that occluded shapes are seen from, in degrees.
        point_counts: the numbers of points of the part ``points``.
        c_grid: penalties C of the SVM, among which cross-validation chooses.
        folds: the folds of that cross-validation.
        untrained: what the batch-norm of untrained encoders knows: the training split, or nothing.

    Raises:
        UserError: a value out of its range.
    """

    points: int = RECIPE_POINTS
    seeds: tuple[int, ...] = (0, 1, 2)
    parts: tuple[ConditionPart, ...] = PARTS
    elevations: tuple[int, ...] = (0, 30, 60)
    point_counts: tuple[int, ...] = (64, 128, 256, 512, 1024)
    c_grid: tuple[float, ...] = DEFAULT_C_GRID
    folds: int = 3
    untrained: Untrained = "calibrated"

    def __post_init__(self) -> None:
        for name in ("seeds", "parts", "elevations", "point_counts"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise UserError(f"{name} must be at least one and distinct, not {values}")
        if self.points < 1 or min(self.point_counts) < 1:
            raise UserError("shapes of fewer than 1 point have no features: ask for more points")
        if not all(-90 <= elevation <= 90 for elevation in self.elevations):
            raise UserError(f"elevations must lie between -90 and 90, not {self.elevations}")

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that the test shapes are put under, as they are first."""
        return conditions_of(self.parts, self.elevations, self.point_counts)

    @property
    def training_rotations(self) -> tuple[Setting, ...]:
        """How training shapes are rotated, a classifier each."""
        return tuple(TRAINING_ROTATIONS) if "rotation" in self.parts else ("aligned",)

    @property
    def steps(self) -> int:
        """Sets of clouds that encoders are run on."""
        sets = len(self.training_rotations) + len(self.conditions)
        return len(self.seeds) * len(FEATURES) * sets


def protocol_for(
    train: CloudSet,
    test: CloudSet,
    *,
    parts: Sequence[ConditionPart] = PARTS,
    seeds: int = 3,
    points: int | None = None,
    point_counts: Sequence[int] | None = None,
    untrained: Untrained = "calibrated",
) -> RobustnessProtocol:
    """Return the protocol as it applies to some shapes.

    Args:
        train: the items that classifiers are fitted on.
        test: the items that are put under the conditions.
        parts: the parts that are measured.
        seeds: draws.
        points: the points of each shape; None for `RECIPE_POINTS`, or as many as all shapes have.
        point_counts: the numbers of the part ``points``; None: those of `POINT_COUNTS` that the
            test shapes have.
        untrained: the data that the batch-norm of untrained encoders has seen.

    Raises:
        UserError: a value out of its range.
    """
    available = min(items.points.shape[1] for items in (train, test))
    if points is None:
        points = min(RECIPE_POINTS, available)
    if point_counts is None:
        known = [count for count in POINT_COUNTS if count <= test.points.shape[1]]
        point_counts = known or [available]
    return RobustnessProtocol(
        points=points,
        seeds=tuple(range(seeds)),
        parts=tuple(dict.fromkeys(parts)),
        point_counts=tuple(point_counts),
        untrained=untrained,
    )
