"""Few labels: classifiers fitted on a share of the training labels."""

from collections.abc import Callable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from pc_crvae.config.sections import PositiveInt, Section
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe import classifier_settings
from pc_crvae.evaluation.probe.metrics import base
from pc_crvae.evaluation.reports import Part
from pc_crvae.randomness.keys import keyed_numpy_generator


class LowLabel(Section):
    """Classifiers fitted on a share of the training labels, the same share of each class."""

    fractions: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (
        Field((0.01, 0.05, 0.1, 1.0), description="shares; at least one item of each class")
    )
    draws: PositiveInt = Field(5, description="draws of each share, but one of the whole")
    classifier: classifier_settings.ClassifierSection = Field(
        classifier_settings.LinearSVM(c=(1e-2,)),
        description="one value of its parameter: few labels leave no folds",
    )


class Share(Part):
    """A share of the labels, and the items that it is."""

    fraction: float
    labels: int


class ShareRow(base.Scores, Share, base.Row):
    """What a classifier scores after a share of the labels, over its draws and the probe seeds."""


_Draws = list[list[tuple[int, base.Score]]]
"""Of each share, and each of its draws: the labels, and what the classifier scores."""


class LowLabelMetric(base.Metric[LowLabel, _Draws, ShareRow]):
    """A row for each share of the labels."""

    key = "low_label"
    section = LowLabel | None
    row = ShareRow
    title = "share of the labels"

    def check(self, asked: LowLabel) -> None:
        """Refuse a classifier whose parameter is to be chosen."""
        classifier_settings.check_one_value(asked.classifier, self.key)

    def measure(self, asked: LowLabel, task: base.Task) -> Callable[[Labels], _Draws]:
        """Predict the test items from each draw of each share."""
        shares = [predict_from_share(task, asked, fraction) for fraction in _fractions(asked)]
        return lambda labels: [
            [(count, base.score_of(labels, predicted)) for count, predicted in share]
            for share in shares
        ]

    def rows(self, asked: LowLabel, found: Sequence[_Draws], name: base.Name) -> list[ShareRow]:
        """A row for each share."""
        rows = []
        for place, fraction in enumerate(_fractions(asked)):
            draws = [draw for of_seed in found for draw in of_seed[place]]
            values = base.summarize([score for _, score in draws])
            values |= {"fraction": fraction, "labels": draws[0][0]}
            rows.append(ShareRow(**name, setting=base.ALIGNED, **values))
        return rows

    def cells(self, row: ShareRow) -> dict[str, str]:
        """The accuracy, under the share."""
        return {f"{100 * row.fraction:g} %": row.shown}


def _fractions(asked: LowLabel) -> tuple[float, ...]:
    return tuple(dict.fromkeys(asked.fractions))


def stratified_share(labels: Labels, fraction: float, *key: int | str) -> Labels:
    """Draw a share of each class, rounded, at least one item: indices, ascending.

    Args:
        labels: (n,).
        fraction: the share of the labels, in (0, 1].
        key: the key that fixes the draw.
    """
    generator = keyed_numpy_generator("labelled share", *key)
    kept = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        count = max(1, round(fraction * len(rows)))
        kept.append(generator.permutation(rows)[:count])
    return np.sort(np.concatenate(kept)).astype(np.int64)


def predict_from_share(
    task: base.Task, low_label: LowLabel, fraction: float
) -> list[tuple[int, Labels]]:
    """Predict the test items from a share of the training labels.

    Returns:
        For each draw how many labels there were, and the predictions (n,); one draw of the
        whole.

    Raises:
        UserError: as `fit_classifier`.
    """
    found = []
    for draw in range(1 if fraction == 1 else low_label.draws):
        rows = stratified_share(task.train_labels, fraction, round(fraction * 1e9), draw, task.seed)
        fitted = task.fit_few(low_label.classifier, rows)
        found.append((len(rows), fitted.predict(task.test[base.ALIGNED])))
    return found
