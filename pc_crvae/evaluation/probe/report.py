"""The report of a probe: rows of scores over the probe seeds, and what they were made by."""

from collections.abc import Mapping
from types import GenericAlias
from typing import Any, Literal

import pydantic

from pc_crvae.embedding.names import Encoded, Representation, Setting, Untrained
from pc_crvae.evaluation.probe.cross_validation import CrossValidated
from pc_crvae.evaluation.probe.metrics import METRICS
from pc_crvae.evaluation.probe.metrics.base import ClassifierRow, Metric, Row, RowType
from pc_crvae.evaluation.probe.near_copies import WithoutNearCopies
from pc_crvae.evaluation.probe.training_free import TrainingFree
from pc_crvae.evaluation.reports import Checkpoint, ModelReport, Part, TrainAndTest


class WithMetrics(Part):
    """A part in which every metric has a key of its own: ``metrics`` holds them together."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _gather(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "metrics" in values:
            return values
        found = {metric.key: values[metric.key] for metric in METRICS if metric.key in values}
        rest = {key: value for key, value in values.items() if key not in found}
        return rest | {"metrics": found}

    @pydantic.model_serializer(mode="wrap")
    def _spread(self, plain: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in plain(self).items():
            values |= value if key == "metrics" else {key: value}
        return values


class ProtocolReport(WithMetrics):
    """All that a protocol says, and in words what it means.

    Attributes:
        classifier: the classifier in words.
        metrics: what is asked of each metric, by its key; retrieval is described in words.
        c_grid: values that the classifier's parameter is chosen from; or ``k_grid``, or
            ``alpha_grid``.
        classifier_settings: the section of the protocol.
        features: whether they are standardised.
        choice_of_c: the way in which C is chosen; or ``choice_of_k``, or ``choice_of_alpha``.
        fitted_on: the items it is fitted on, in words.
        accuracy_std: the kind of deviation.
        seed: what it fixes.
        untrained: what the batch-norm of untrained encoders knows; as initialised, in reports that
            do not say.
        near_copies: whether it was scored without them too.
        training_free: whether a training-free row stands beside those of a model of clouds.
    """

    name: str
    source: str
    notes: tuple[str, ...]
    points: int | None
    pool: str | None
    average_over: str | None = None
    representations: tuple[Encoded, ...]
    settings: tuple[Setting, ...]
    standardise: bool
    classifier: str
    folds: int
    seeds: tuple[int, ...]
    metrics: dict[str, pydantic.JsonValue]
    c_grid: tuple[float, ...] | None = None
    k_grid: tuple[int, ...] | None = None
    alpha_grid: tuple[float, ...] | None = None
    classifier_settings: dict[str, pydantic.JsonValue]
    features: str
    choice_of_c: str | None = None
    choice_of_k: str | None = None
    choice_of_alpha: str | None = None
    fitted_on: str
    accuracy_std: str
    seed: str
    untrained: Untrained = "initial"
    near_copies: bool = False
    training_free: bool = False


class PairedRow(Part):
    """How far a trained representation lies above one that was not trained, item by item.

    Attributes:
        setting: the rotation of the test items.
        trained: the representation.
        untrained: the strongest one, picked on these very items, which favours its side; not there
            where the other side is training-free.
        training_free: the kind of the descriptor, which was picked on training items; not there
            where the other side is an untrained encoder.
        difference: the difference of the accuracies, in [-1, 1].
        interval: the interval of the difference, at ``level``.
        method: the method of the interval.
    """

    setting: Setting
    trained: Representation
    untrained: Representation | None = None
    training_free: str | None = None
    difference: float
    interval: tuple[float, float]
    level: float
    method: str


class Confusion(Part):
    """How often items of a class (row) were taken for one (column), over all probe seeds."""

    classes: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]


class FeaturesCut(Part):
    """Features that were given, and hashes of them and of their labels."""

    split: Literal["train", "test"]
    count: int
    dimensions: int
    sha256: str
    labels_sha256: str


class TrainAndTestFeatures(Part):
    """The features that classifiers were fitted on, and scored on."""

    train: FeaturesCut
    test: FeaturesCut


class ProbeReport(WithMetrics, ModelReport):
    """What a probe found; accuracies lie in [0, 1].

    Attributes:
        rows: the rows of posterior means and of the training-free descriptor beside them, or of
            features that were given or are those of a descriptor that is probed itself.
        extra_rows: the rows of pooled features.
        metrics: rows by the key of the metric; in JSON, each under its key.
        without_near_copies: the accuracies without the test shapes that have a near-copy in
            training; not there for images, for features that were given, and where aligned items
            are not probed.
        paired: how far the rows of a trained model lie above the training-free one, and above the
            strongest untrained one.
        training_free: the descriptor that was chosen for the training-free row, and what the
            others score.
        cross_validation: the same rows by repeated K-fold on the training items, where asked for.
        confusion: the confusion of the encoder's posterior mean (pooled features where that is not
            probed) on aligned items; not there where these are not probed.
        versions: the versions of the libraries that the numbers depend on.
        checkpoint: the state of the model that was probed.
        trained_on: the model's record of its training data.
        transfer: whether it was trained on another set than it is probed on.
        files: the files of the features that were given.
    """

    rows: tuple[ClassifierRow, ...]
    extra_rows: tuple[ClassifierRow, ...]
    metrics: dict[str, tuple[pydantic.SerializeAsAny[Row], ...]]
    without_near_copies: WithoutNearCopies | None = None
    paired: tuple[PairedRow, ...] = ()
    training_free: TrainingFree | None = None
    cross_validation: CrossValidated | None = None
    confusion: Confusion | None = None
    protocol: ProtocolReport
    data: TrainAndTest | TrainAndTestFeatures
    versions: dict[str, str]
    checkpoint: Checkpoint | None = None
    trained_on: dict[str, pydantic.JsonValue] | None = None
    transfer: bool | None = None
    files: dict[Literal["train", "test"], str] | None = None

    @pydantic.field_validator("metrics", mode="before")
    @classmethod
    def _of_their_metric(cls, metrics: Any) -> Any:
        if not isinstance(metrics, Mapping):
            return metrics
        types: dict[str, Any] = {
            metric.key: GenericAlias(tuple, (metric.row, ...)) for metric in METRICS
        }
        return {
            key: pydantic.TypeAdapter(types.get(key, Any)).validate_python(rows)
            for key, rows in metrics.items()
        }

    def measured(self, metric: Metric[Any, Any, RowType]) -> tuple[RowType, ...]:
        """The rows of a metric, none where nothing was asked for."""
        rows: tuple[Any, ...] = self.metrics.get(metric.key, ())
        return rows
