"""What a probe finds for one set of features under one probe seed.

`predict_items` knows no label of a test item: what it returns is scored against them afterwards.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe.classifiers import FittedClassifier
from pc_crvae.evaluation.probe.metrics.base import Task
from pc_crvae.evaluation.probe.protocol import ProbeProtocol


@dataclass(frozen=True)
class Outcome:
    """What was predicted and measured.

    Attributes:
        predictions: the predictions of the protocol's classifier for the test items, by setting.
        chosen: the C, k or alpha that was chosen.
        converged: whether its solver reached its tolerance in every fit.
        dimensions: the dimensions of the features.
        found: the values that the rows of each metric show, by the metric's key.
    """

    predictions: Mapping[str, Labels]
    chosen: float
    converged: bool
    dimensions: int
    found: Mapping[str, Any]


def predict_items(
    train: NDArray[np.floating],
    train_labels: Labels,
    test: Mapping[str, NDArray[np.floating]],
    protocol: ProbeProtocol,
    seed: int,
    fitted: FittedClassifier | None = None,
) -> Callable[[Labels], Outcome]:
    """Fit all that a protocol asks for on the training items, and predict the test items.

    Args:
        train: (n, d).
        train_labels: (n,).
        test: (m, d) by setting.
        protocol: what is fitted.
        seed: the seed of folds, draws and starts.
        fitted: the protocol's classifier, where it was fitted on these very items before.

    Returns:
        What scores the metrics against the labels (m,) of the test items.

    Raises:
        UserError: as `fit_classifier`, and as the metrics' `measure`.
    """
    task = Task(train, train_labels, test, protocol.standardise, protocol.folds, seed)
    fitted = fitted or task.fit(protocol.classifier)
    predictions = {setting: fitted.predict(items) for setting, items in test.items()}
    measured = {
        metric.key: metric.measure(protocol.asked(metric), task) for metric in protocol.metrics
    }

    def score(labels: Labels) -> Outcome:
        found = {key: score(labels) for key, score in measured.items()}
        return Outcome(predictions, fitted.chosen, fitted.converged, train.shape[1], found)

    return score
