"""Other classifiers: beside the protocol's own, on the unturned test items."""

from collections.abc import Callable, Sequence

from pydantic import Field

from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe import classifier_settings
from pc_crvae.evaluation.probe.classifiers import FittedClassifier
from pc_crvae.evaluation.probe.metrics import base

_Several = tuple[classifier_settings.Classifier, ...]
_Found = list[tuple[base.Score, FittedClassifier]]
"""What each classifier scores under one seed, and how it was fitted."""


class OtherClassifiers(base.Metric[_Several, _Found, base.ClassifierRow]):
    """A row for each of the other classifiers."""

    key = "other_classifiers"
    section = tuple[classifier_settings.ClassifierSection, ...]
    default = Field((), description="fitted beside, scored on unturned test items")
    row = base.ClassifierRow
    title = "other classifiers"

    def check(self, asked: _Several) -> None:
        """Refuse the same classifier twice."""
        names = [classifier.name for classifier in asked]
        if len(set(names)) < len(names):
            raise ValueError(f"other_classifiers should be distinct, not {names}")

    def chosen(self, asked: _Several) -> _Several:
        """All of them."""
        return asked

    def measure(self, asked: _Several, task: base.Task) -> Callable[[Labels], _Found]:
        """Fit each on the training items and predict the test items."""
        fitted = [task.fit(classifier) for classifier in asked]
        answers = [(one, one.predict(task.test[base.ALIGNED])) for one in fitted]
        return lambda labels: [
            (base.score_of(labels, predicted), one) for one, predicted in answers
        ]

    def rows(
        self, asked: _Several, found: Sequence[_Found], name: base.Name
    ) -> list[base.ClassifierRow]:
        """A row for each classifier."""
        rows = []
        for classifier, of_seeds in zip(asked, zip(*found, strict=True), strict=True):
            scores, fitted = zip(*of_seeds, strict=True)
            values = base.summarize(scores)
            parameter = classifier_settings.parameter_of(classifier)
            values[parameter] = tuple(one.chosen for one in fitted)
            values["classifier"] = classifier.name
            if not all(one.converged for one in fitted):
                values["note"] = "the solver stopped at its iteration limit for some fit"
            rows.append(base.ClassifierRow(**name, setting=base.ALIGNED, **values))
        return rows

    def cells(self, row: base.ClassifierRow) -> dict[str, str]:
        """The accuracy, under the classifier's name."""
        return {row.classifier.replace("_", " "): row.shown}
