"""What a study found, as its ``summary.json`` holds it."""

from typing import Any, Literal

from pydantic import field_serializer

from pc_crvae.evaluation.probe.report import ProtocolReport
from pc_crvae.evaluation.reports import Part, Report
from pc_crvae.study.schema import MeasuresOfStudy

Status = Literal["complete", "failed", "running", "interrupted", "waiting"]


TERM_TITLES = {
    "log_likelihood": "log-likelihood",
    "kl": "KL",
    "consistency": "consistency",
    "active_units": "active units",
}
"""The terms of objectives that tables show, and how they call them."""


class Spread(Part):
    """A number over seeds.

    Attributes:
        mean: None of no value.
        std: sample standard deviation; None of fewer than two values.
        of_seeds: the values.
        log_n: the bound of the mutual information, in nats.
        saturated: the seeds whose estimate of mutual information is so near to its bound that it
            cannot be ranked by.
    """

    mean: float | None
    std: float | None
    of_seeds: tuple[float, ...]
    log_n: float | None = None
    saturated: int | None = None


class RunResult(Part):
    """How far a run is.

    Attributes:
        error: why it failed, of a failed one.
        training_minutes: the training minutes of a complete one.
    """

    name: str
    arm: str
    seed: int
    folder: str
    status: Status
    error: str | None = None
    training_minutes: float | None = None


class ProbedData(Part):
    """How much of a data set was probed, against the counts of its card, by split."""

    name: str
    fitted_on: int
    scored_on: int
    scored_split: str
    validation_fraction: float
    card: dict[str, int | None]
    sha256: dict[str, str]


class EvaluatedData(Part):
    """How many images the evaluations are of.

    Attributes:
        of_split: images of the split, of which so many were evaluated.
        train: training images, that of validation left out where it is evaluated.
        transform: the transform of the consistency KL; None where there is none.
    """

    name: str
    trained_validation_fraction: float
    evaluated: int
    split: str
    of_split: int
    classifiers_fitted_on: int | None
    train: int
    samples: int
    seed: int
    transform: str | None
    sha256: dict[str, str]


class Accuracy(Spread):
    """How often the probe of an arm is right, over the seeds that ``spread_over`` names."""

    representation: str
    setting: str
    spread_over: Literal["probe seeds", "training seeds"]


class OfFolds(Part):
    """Features on the training split by repeated folds, every class counting alike.

    Attributes:
        representation: the features.
        class_mean: the accuracy over training seeds; of what was not trained, over repeats.
        above_bar: how far it lies above the training-free row, item by item, over training seeds.
        intervals: the interval of that difference, one a training seed.
    """

    representation: str
    class_mean: Spread
    above_bar: Spread | None = None
    intervals: tuple[tuple[float, float], ...] = ()


class ArmResult(Part):
    """What the runs of an arm add up to.

    Attributes:
        seeds: the seeds of training, of complete runs.
        config: what the arm changes; this and what follows only for trained arms.
        overrides: the overrides of its first run.
        passes: how often the encoder sees the training set.
        terms: the terms of the objective on validation, after the last epoch.
        training_minutes: the training minutes of a run.
        figures: the figures of the evaluations.
        untrained_of: the arm whose probe scored these untrained encoders.
        measured: figures by measure.
        rows: the rows of the probe.
        folds: the folds of the training split, where the study asks for them.
    """

    name: str
    about: str
    seeds: tuple[int, ...]
    config: str | None = None
    overrides: tuple[str, ...] | None = None
    passes: int | None = None
    terms: dict[str, Spread] | None = None
    training_minutes: Spread | None = None
    figures: dict[str, Spread] | None = None
    untrained_of: str | None = None
    measured: dict[str, dict[str, Spread]]
    rows: tuple[Accuracy, ...]
    folds: tuple[OfFolds, ...] = ()


class AccuracyDifference(Part):
    """How far the accuracy of an arm lies above that of another, with intervals.

    Attributes:
        interval: the bootstrap's interval.
        t_interval: the interval by Student's t; None of a single seed, and in summaries of earlier
            versions.
    """

    first: str
    second: str
    representation: str
    setting: str
    difference: float
    interval: tuple[float, float]
    t_interval: tuple[float, float] | None = None
    of_seeds: tuple[float, ...]
    training_seeds: tuple[int, ...]


class FigureDifference(Spread):
    """How far a figure of an arm's evaluations lies above that of another, seed by seed."""

    first: str
    second: str
    figure: str
    training_seeds: tuple[int, ...]


class TrainingFreeResult(Part):
    """A descriptor beside the arms, which the probe of one run chose and scored for all of them.

    Attributes:
        kind: the name of the descriptor.
        frames: the rotations that do not matter to it, those of the arms' models.
        run: the run whose probe made the row.
        arms: the arms whose bar it is.
        rows: its accuracies, over probe seeds.
        folds: its score on the training split by folds, where the study asks for them.
    """

    kind: str
    frames: str | None
    run: str
    arms: tuple[str, ...]
    rows: tuple[Accuracy, ...]
    folds: OfFolds | None = None


class StudySummary(Report):
    """Everything that is stored of a study.

    Attributes:
        study: its file, as it was given.
        out: its folder.
        split: the split that every number is of.
        level: the level of the intervals.
        method: how intervals are found.
        data: what was probed, one entry a data set.
        protocol: the protocol of the probes; None before the first.
        versions: the versions of the libraries; None before the first report.
        evaluated: what was evaluated; None without evaluations.
        training_free: the bars of the arms; none in summaries of earlier versions.
    """

    title: str
    question: str
    study: str
    out: str
    split: str
    seeds: tuple[int, ...]
    level: float
    method: str
    runs: tuple[RunResult, ...]
    data: tuple[ProbedData, ...]
    protocol: ProtocolReport | None
    versions: dict[str, str] | None
    measures: MeasuresOfStudy
    evaluated: EvaluatedData | None
    arms: tuple[ArmResult, ...]
    differences: tuple[AccuracyDifference, ...]
    figure_differences: tuple[FigureDifference, ...]
    training_free: tuple[TrainingFreeResult, ...] = ()

    @field_serializer("measures")
    def _whole(self, measures: MeasuresOfStudy) -> dict[str, Any]:
        return measures.model_dump(mode="json")  # what was not set too

    @property
    def complete(self) -> tuple[str, ...]:
        """Names of the complete runs."""
        return tuple(run.name for run in self.runs if run.status == "complete")
