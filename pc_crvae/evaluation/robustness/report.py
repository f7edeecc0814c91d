"""The report of robustness: rows of accuracies, of drift and of corruption errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from pc_crvae.embedding import names
from pc_crvae.evaluation.probe.metrics.base import Accuracies, summarize_accuracies
from pc_crvae.evaluation.reports import STRICT, Checkpoint, ModelReport, Part, TrainAndTest
from pc_crvae.evaluation.robustness.conditions import Condition, ConditionPart
from pc_crvae.evaluation.robustness.protocol import RobustnessProtocol


class ClassifiedUnder(Part):
    """What is classified, and the condition of the test shapes.

    Attributes:
        fitted_on: the rotation of the classifier's training shapes.
        part: the part of the table that the condition belongs to.
        level: severity, elevation in degrees, or count of points; 0 of a rotation.
    """

    features: names.Features
    representation: names.Representation
    fitted_on: names.Setting
    part: ConditionPart
    condition: str
    level: int


class AccuracyRow(Accuracies, ClassifiedUnder):
    """How often test shapes under a condition are classified right, over the seeds."""


class DriftRow(Part):
    """How far the posteriors of test shapes moved under a condition, means over the shapes.

    Attributes:
        cosine: the cosine of the posterior means, over the seeds.
        cosine_of_seeds: one per seed.
        centered_cosine: the same less the mean of all shapes' as they are.
        kl: KL(q(z|t(x)) || q(z|x)) in nats; None of posteriors without a density.
        kl_per_dimension: the KL divided by the number of dimensions of z.
        kl_of_seeds: one per seed; none of posteriors without a density.
    """

    features: names.Features
    part: ConditionPart
    condition: str
    level: int
    cosine: float
    cosine_of_seeds: tuple[float, ...]
    centered_cosine: float
    kl: float | None
    kl_per_dimension: float | None
    kl_of_seeds: tuple[float, ...]


class ReferenceReport(Part):
    """Which report has corruption errors of 1, and of which checkpoint it is."""

    report: str
    checkpoint: Checkpoint | None


class CorruptionErrors(Part):
    """The errors of an encoder's representation under corruptions, over those of a reference.

    Attributes:
        reference: the encoder whose errors are 1: the untrained encoder's same representation, or
            the trained encoder of another report.
        ce: the error of each corruption; None where the reference makes no error.
        mce_mean: mean over corruptions and seeds.
        mce_std: sample standard deviation over the seeds.
        mce: mean over corruptions, one per seed.
        note: why there are none.
    """

    features: names.Features
    representation: names.Representation
    reference: Literal["untrained"] | ReferenceReport
    ce: dict[str, float] | None
    mce_mean: float | None
    mce_std: float | None
    mce: tuple[float, ...] | None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class DescribedProtocol(RobustnessProtocol):
    """All that the protocol says, and in words what it means.

    Attributes:
        untrained: what untrained batch-norm knows; reports that do not say are read as initial.
    """

    __pydantic_config__ = STRICT

    untrained: names.Untrained = "initial"
    classifier: str
    fitted_on: str
    accuracy_std: str
    corruptions: str
    occlusion: str
    drift: str


class RobustnessReport(ModelReport):
    """What is left of a representation under every condition.

    Attributes:
        checkpoint: the state of the model; not of encoders that were no saved model's.
        trained_on: the model's record of its training data.
    """

    rows: tuple[AccuracyRow, ...]
    drift: tuple[DriftRow, ...]
    corruption_errors: tuple[CorruptionErrors, ...]
    protocol: DescribedProtocol
    data: TrainAndTest
    versions: dict[str, str]
    checkpoint: Checkpoint | None = None
    trained_on: dict[str, JsonValue] | None = None


def accuracy_row(
    features: names.Features,
    representation: names.Encoded,
    how: names.Setting,
    condition: Condition,
    of_seeds: Sequence[float],
) -> AccuracyRow:
    """Make the row of an encoder's representation, rotation of training shapes, and condition."""
    return AccuracyRow(
        features=features,
        representation=names.REPRESENTATIONS[representation],
        fitted_on=how,
        part=condition.part,
        condition=condition.name,
        level=condition.level,
        **summarize_accuracies(of_seeds),
    )
