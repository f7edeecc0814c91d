"""A second estimate of what a probe reads: repeated K-fold within the training split.

Every row is fitted on the same folds, so that rows are compared item by item. Each repeat is of
another probe seed's draw of points and of untrained weights, the same for all rows, so that means
and intervals are over these too. No encoder saw a label, so this estimate is as clean as that of
the test split, and it has more items. Near-copies within the training split raise it, as those
across the splits raise the other.

The classifier's parameter is the one that the protocol chose under that seed on all training items,
held in every fold: items that are predicted had one vote in n in its choice, among a handful of
values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pc_crvae.config.sections import PositiveInt, Section
from pc_crvae.embedding.names import TRAINING_FREE
from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.metrics.significance import LEVEL, item_intervals
from pc_crvae.evaluation.probe.classifier_settings import Classifier, with_value
from pc_crvae.evaluation.probe.classifiers import held_out_predictions
from pc_crvae.evaluation.reports import Part

RowName = tuple[str, str]
"""Whose features, and which, as outcomes are named."""


class CrossValidation(Section):
    """How training items are cross-validated."""

    repeats: PositiveInt = Field(
        3, description="of the folds, drawn anew; at least as many as there are probe seeds"
    )
    folds: Annotated[int, Field(ge=2)] = Field(5, description="stratified")


class Score(Part):
    """A share in [0, 1], or a difference of two in [-1, 1], and its interval."""

    mean: float
    interval: tuple[float, float]


class CrossValidatedRow(Part):
    """What a classifier scores on training items that it has not seen.

    Attributes:
        features: the encoder that the features are of.
        representation: the features that are probed.
        accuracy: the accuracy over the items, the mean of the repeats.
        class_mean: the same, every class counting alike.
        accuracies: one per repeat.
        class_means: one per repeat.
        parameter: the C, k or alpha that is held in every fold of the first repeat.
        parameters: those of the repeats, one each; none in reports of earlier versions, where the
            first is held in all.
    """

    features: str
    representation: str
    accuracy: Score
    class_mean: Score
    accuracies: tuple[float, ...]
    class_means: tuple[float, ...]
    parameter: float
    parameters: tuple[float, ...] = ()


class CrossValidatedDifference(Part):
    """How far a trained representation lies above another row, item by item.

    Attributes:
        trained: the representation.
        against: the kind of encoder that the other row is of.
        representation: the features that are probed, as of the row ``trained``.
        accuracy: the difference.
        class_mean: the difference.
    """

    trained: str
    against: Literal["training_free", "untrained"]
    representation: str
    accuracy: Score
    class_mean: Score


class CrossValidated(Part):
    """Repeated K-fold on the training items.

    Attributes:
        items: the number of items.
        parameter: the choice of the classifier's parameter, in words.
        method: the method of intervals, at ``level``.
        seed: the first probe seed, from which the folds follow.
        seeds: the probe seeds whose points and untrained weights are taken, one per repeat in turn;
            none in reports of earlier versions, which took the first alone.
    """

    items: int
    repeats: int
    folds: int
    rows: tuple[CrossValidatedRow, ...]
    differences: tuple[CrossValidatedDifference, ...]
    level: float
    method: str
    parameter: str
    seed: int
    seeds: tuple[int, ...] = ()
    note: str


@dataclass(frozen=True)
class Held:
    """What is cross-validated of a row, of one probe seed.

    Attributes:
        features: (n, d) of the training items.
        value: the C, k or alpha of its classifier.
    """

    features: NDArray[np.floating]
    value: float


def cross_validate(
    rows: Mapping[RowName, Sequence[Held]],
    labels: Labels,
    classifier: Classifier,
    asked: CrossValidation,
    standardise: bool = True,
    *,
    seeds: Sequence[int] = (0,),
    progress: Callable[[str], None] | None = None,
) -> CrossValidated:
    """Cross-validate rows on the same folds, and compare the trained ones with the others.

    Args:
        rows: the features by row, all of the same items; of each probe seed, or of one where all
            are alike.
        labels: (n,) of the items.
        classifier: the classifier; each row brings its own value of the parameter.
        asked: repeats and folds.
        standardise: whether features are scaled by the statistics of the items that are fitted on.
        seeds: the probe seeds, of which the first decides the folds.
        progress: a function to call with a line that says what is being done.

    Raises:
        UserError: as `fit_classifier`.
    """
    right: dict[RowName, NDArray[np.float64]] = {}
    count = max(asked.repeats, *map(len, rows.values()))
    for (features, representation), of_seeds in rows.items():
        repeats = []
        for repeat in range(count):
            held = of_seeds[repeat % len(of_seeds)]
            if progress is not None:
                progress(
                    f"cross-validation: {features.replace('_', '-')} "
                    f"{representation.replace('_', ' ')}, repeat {repeat + 1} of {count}"
                )
            predicted = held_out_predictions(
                with_value(classifier, held.value),
                held.features,
                labels,
                standardise=standardise,
                folds=asked.folds,
                seed=1000 * seeds[0] + repeat,
            )
            repeats.append(predicted == labels)
        right[features, representation] = np.array(repeats, dtype=np.float64)
    pairs = _pairs(list(right))
    means = {name: of_repeats.mean(axis=0) for name, of_repeats in right.items()}
    values = [*means.values(), *(means[one] - means[other] for one, other in pairs)]
    scores = _scores(np.stack(values, axis=1), labels)
    weights = _class_weights(labels)
    return CrossValidated(
        items=len(labels),
        repeats=count,
        folds=asked.folds,
        rows=tuple(
            CrossValidatedRow(
                features=name[0],
                representation=name[1],
                **score,
                accuracies=tuple(right[name].mean(axis=1).tolist()),
                class_means=tuple((right[name] @ weights).tolist()),
                parameter=rows[name][0].value,
                parameters=tuple(
                    rows[name][repeat % len(rows[name])].value for repeat in range(count)
                ),
            )
            for name, score in zip(right, scores, strict=False)
        ),
        differences=tuple(
            CrossValidatedDifference.model_validate(
                {"trained": one[1], "against": other[0], "representation": other[1], **score}
            )
            for (one, other), score in zip(pairs, scores[len(right) :], strict=True)
        ),
        level=LEVEL,
        method="bootstrap percentile over items, of out-of-fold predictions averaged over repeats; "
        "for class means within each class",
        parameter="chosen by the protocol on all training items under the repeat's probe seed, "
        "held in every fold",
        seed=seeds[0],
        seeds=tuple(seeds),
        note="near-copies within the training split raise every row",
    )


def _pairs(names: Sequence[RowName]) -> list[tuple[RowName, RowName]]:
    """Each trained row with the training-free one, then with the untrained one like it."""
    trained = [name for name in names if name[0] == "trained"]
    pairs = [(one, other) for one in trained for other in names if other[0] == TRAINING_FREE]
    return pairs + [
        (one, ("untrained", one[1])) for one in trained if ("untrained", one[1]) in names
    ]


def _scores(values: NDArray[np.float64], labels: Labels) -> list[dict[str, Any]]:
    """Over items and over classes: the means of values (n, V) with their intervals."""
    of_items = zip(values.mean(axis=0), item_intervals(values), strict=True)
    means = _class_weights(labels) @ values
    of_classes = zip(means, item_intervals(values, labels), strict=True)
    return [
        {"accuracy": _score(*over_items), "class_mean": _score(*over_classes)}
        for over_items, over_classes in zip(of_items, of_classes, strict=True)
    ]


def _score(mean: np.float64, ends: NDArray[np.float64]) -> Score:
    return Score(mean=float(mean), interval=(float(ends[0]), float(ends[1])))


def _class_weights(labels: Labels) -> NDArray[np.float64]:
    """How much each item (n,) counts in a mean over classes."""
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return 1 / (len(counts) * counts[places])
