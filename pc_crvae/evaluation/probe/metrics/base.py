"""What a metric of the probe is: a section of the protocol, a measurement, rows, lines of a table.

A metric is a module with one `Metric`, listed in :mod:`pc_crvae.evaluation.probe.metrics`. Its key
is the name of its section in protocols and of its rows in reports.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from pc_crvae.embedding.names import Setting
from pc_crvae.evaluation.metrics.accuracy import accuracy, class_mean_accuracy
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe.classifier_settings import Classifier
from pc_crvae.evaluation.probe.classifiers import FittedClassifier, fit_classifier
from pc_crvae.evaluation.reports import Part
from pc_crvae.evaluation.tables import with_spread

ALIGNED: Setting = "aligned"
"""The test items that metrics are about which do not ask how items are rotated."""


@dataclass(frozen=True)
class Task:
    """What is measured on under one probe seed; it holds no label of a test item.

    Attributes:
        train: (n, d) features of the training items.
        train_labels: (n,).
        test: (m, d) features of the test items by setting.
        standardise: whether features are, by the training items' statistics.
        folds: the folds of cross-validations on the training items.
        seed: the seed of folds, draws and starts.
    """

    train: NDArray[np.floating]
    train_labels: Labels
    test: Mapping[str, NDArray[np.floating]]
    standardise: bool
    folds: int
    seed: int

    def fit(self, classifier: Classifier) -> FittedClassifier:
        """Fit a classifier on the training items.

        Raises:
            UserError: as `fit_classifier`.
        """
        items = self.train, self.train_labels
        return fit_classifier(
            classifier, *items, standardise=self.standardise, folds=self.folds, seed=self.seed
        )

    def fit_few(self, classifier: Classifier, rows: Labels) -> FittedClassifier:
        """Fit a classifier that has nothing to choose on some rows of the training items.

        Raises:
            UserError: as `fit_classifier`.
        """
        train, labels = self.train[rows], self.train_labels[rows]
        return fit_classifier(classifier, train, labels, standardise=self.standardise)


class Name(TypedDict):
    """Whose features a row is of, and which, by their names in reports."""

    features: str
    representation: str


class Row(Part):
    """What every row of a probe's report begins with."""

    features: str
    setting: Setting
    representation: str


class Accuracies(Part):
    """Accuracies in [0, 1] of several predictions.

    Attributes:
        accuracy_mean: their mean.
        accuracy_std: their sample standard deviation, 0 where there is one.
        accuracies: one a prediction.
    """

    accuracy_mean: float
    accuracy_std: float
    accuracies: tuple[float, ...]

    @property
    def shown(self) -> str:
        """The accuracy in per cent, with its deviation where there are several."""
        return per_cent(self.accuracy_mean, self.accuracy_std, len(self.accuracies))


class Scores(Part):
    """Scores in [0, 1] of several predictions, their fields in the order of reports.

    Attributes:
        accuracy_mean: the mean accuracy over the predictions.
        accuracy_std: its sample standard deviation over them, 0 where there is one.
        class_mean: mean accuracy over the classes.
        accuracies: one a prediction.
        class_means: one a prediction.
    """

    accuracy_mean: float
    accuracy_std: float
    class_mean: float
    accuracies: tuple[float, ...]
    class_means: tuple[float, ...]

    @property
    def shown(self) -> str:
        """The accuracy in per cent, with its deviation where there are several."""
        return per_cent(self.accuracy_mean, self.accuracy_std, len(self.accuracies))


class ScoredRow(Scores, Row):
    """What a classifier scores over the probe seeds; in reports, scores follow what a row names."""


class ClassifierName(Part):
    """The classifier of a row, by its name in protocols."""

    classifier: str


class ClassifierRow(Scores, ClassifierName, Row):
    """What a classifier scores over the probe seeds.

    Attributes:
        c: the parameter that was chosen, one per seed; or ``k``, or ``alpha``.
        dimensions: the dimensions of the features.
        note: a sentence that bears on the numbers.
    """

    c: tuple[float, ...] | None = None
    k: tuple[int, ...] | None = None
    alpha: tuple[float, ...] | None = None
    dimensions: int | None = None
    note: str | None = None


Asked = TypeVar("Asked")
Found = TypeVar("Found")
RowType = TypeVar("RowType", bound=Row)


class Metric(ABC, Generic[Asked, Found, RowType]):
    """A metric: what a protocol asks of it, what it finds under a seed, and its rows.

    Attributes:
        key: the key of its section in protocols and its rows in reports.
        section: the type of its section.
        default: what protocols ask for that do not say; where it is false, nothing.
        row: the type of its rows.
        title: the title of its lines in the table.
        by_setting: whether it has one row per setting, shown beside those of the classifier.
        always_reported: whether reports hold its key though nothing is asked for.
    """

    key: ClassVar[str]
    section: ClassVar[Any]
    default: ClassVar[Any] = None
    row: type[RowType]
    title: ClassVar[str]
    by_setting: ClassVar[bool] = False
    always_reported: ClassVar[bool] = False

    def check(self, asked: Asked) -> None:
        """Refuse what cannot be asked for.

        Raises:
            ValueError: a sentence that begins with the key that is wrong.
        """

    def chosen(self, asked: Asked) -> Sequence[Classifier]:
        """The classifiers whose parameter is chosen by cross-validation on the training items."""
        return ()

    def describe(self, asked: Asked) -> str | None:
        """What stands in reports in place of the section, in words; None: the section itself."""
        return None

    @abstractmethod
    def measure(self, asked: Asked, task: Task) -> Callable[[Labels], Found]:
        """Predict, and return what scores the predictions against the labels of the test items.

        Raises:
            UserError: the items do not allow it; so may what is returned.
        """

    @abstractmethod
    def rows(self, asked: Asked, found: Sequence[Found], name: Name) -> list[RowType]:
        """The rows over what was found under each probe seed."""

    @abstractmethod
    def cells(self, row: RowType) -> dict[str, str]:
        """What the table shows of a row, by column; of a metric by setting, by the setting."""


def spread(values: Sequence[float]) -> float:
    """The sample standard deviation, 0 of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def per_cent(mean: float, std: float, count: int) -> str:
    """A score in [0, 1] as text, with its deviation where there are several."""
    return with_spread(100 * mean, None if count == 1 else 100 * std, 1)


class Score(NamedTuple):
    """What a prediction scores, over items and over classes, in [0, 1]."""

    accuracy: float
    class_mean: float


def score_of(labels: Labels, predicted: Labels) -> Score:
    """The score of a prediction (n,) for the labels (n,)."""
    return Score(accuracy(labels, predicted), class_mean_accuracy(labels, predicted))


def scores_of(labels: Labels, predictions: Sequence[Labels]) -> dict[str, Any]:
    """The fields of a `ScoredRow` of several predictions (n,) for the labels (n,)."""
    return summarize([score_of(labels, predicted) for predicted in predictions])


def summarize(scores: Sequence[Score]) -> dict[str, Any]:
    """The fields of `Scores` of several predictions."""
    class_means = tuple(score.class_mean for score in scores)
    of_classes = {"class_mean": float(np.mean(class_means)), "class_means": class_means}
    return summarize_accuracies([score.accuracy for score in scores]) | of_classes


def summarize_accuracies(accuracies: Sequence[float]) -> dict[str, Any]:
    """The fields of `Accuracies` of several predictions."""
    return {
        "accuracy_mean": float(np.mean(accuracies)),
        "accuracy_std": spread(accuracies),
        "accuracies": tuple(accuracies),
    }
