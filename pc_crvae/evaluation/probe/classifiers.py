"""Any of the protocols' classifiers on frozen features, fitted and chosen the same way.

The features are standardised where the protocol says so, within each fold by its own training
part; where there is a choice, the value with most held-out items right over stratified folds wins,
and of equals the smoothest classifier.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_limits

from pc_crvae.errors import UserError
from pc_crvae.evaluation.classes import check_enough_of_each, check_training_data
from pc_crvae.evaluation.metrics.arrays import Labels, check_features
from pc_crvae.evaluation.probe import classifier_settings as rules
from pc_crvae.evaluation.probe.linear_svm import FittedProbe, fit_linear_svm

_MAX_ITERATIONS = 1000  # scikit-learn's default for LinearSVC, ten times that for the regression

Features = NDArray[np.floating]


@dataclass(frozen=True)
class FittedClassifier:
    """A classifier fitted on all training items.

    Attributes:
        predict: features (n, d) to labels (n,).
        chosen: the value of its C, k or alpha.
        converged: whether the solver reached its tolerance in every fit that led here.
        held_out: (n,) what cross-validation predicted for each item with this value, by the
            classifier that had not seen it; None where there was nothing to choose.
        linear_svm: what `of_linear_svm` was given; None of another classifier.
    """

    predict: Callable[[Features], Labels]
    chosen: float
    converged: bool
    held_out: Labels | None = None
    linear_svm: FittedProbe | None = None

    @classmethod
    def of_linear_svm(cls, probe: FittedProbe) -> Self:
        """Take a linear SVM as one of the protocols' classifiers."""
        return cls(probe.predict, probe.c, probe.converged, probe.held_out, probe)


def fit_classifier(
    classifier: rules.Classifier,
    features: Features,
    labels: Labels,
    *,
    standardise: bool = True,
    folds: int = 3,
    seed: int = 0,
) -> FittedClassifier:
    """Fit a classifier, its parameter chosen by cross-validation on these items alone.

    Args:
        classifier: the classifier and the values of its parameter.
        features: (n, d) finite.
        labels: (n,) classes.
        standardise: whether features are scaled by the statistics of the items that are fitted on.
        folds: the folds of the cross-validation; none is made where there is one value.
        seed: the seed of the folds, and of liblinear.

    Raises:
        UserError: features that are not finite, lengths that differ, a single class, a class
            with fewer items than folds, or more neighbours than items.
    """
    grid = rules.grid_of(classifier)
    if isinstance(classifier, rules.LinearSVM):
        probe = fit_linear_svm(
            features, labels, c_grid=grid, folds=folds, seed=seed, standardise=standardise
        )
        return FittedClassifier.of_linear_svm(probe)
    check_training_data(features, labels)
    converged, chosen, held_out = True, grid[0], None
    if len(grid) > 1:
        check_enough_of_each(labels, folds)
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
        predicted = np.empty((len(grid), len(labels)), dtype=labels.dtype)
        for rows, others in splitter.split(features, labels):
            for place, value in enumerate(grid):
                fitted = _fit(classifier, value, features[rows], labels[rows], standardise, seed)
                predicted[place, others] = fitted.predict(features[others])
                converged &= fitted.converged
        best = int(np.count_nonzero(predicted == labels, axis=1).argmax())
        chosen, held_out = grid[best], predicted[best]
    final = _fit(classifier, chosen, features, labels, standardise, seed)
    return FittedClassifier(final.predict, final.chosen, converged and final.converged, held_out)


def held_out_predictions(
    classifier: rules.Classifier,
    features: Features,
    labels: Labels,
    *,
    standardise: bool = True,
    folds: int = 3,
    seed: int = 0,
) -> Labels:
    """Predict every item by a classifier that has not seen it nor chosen anything by it.

    In each of the stratified folds the classifier is fitted on the others as `fit_classifier` does,
    standardised, and chosen where there is a choice, by these alone.

    Args:
        classifier: the classifier and the values of its parameter.
        features: (n, d) finite.
        labels: (n,) classes.
        standardise: whether features are scaled by the statistics of the items that are fitted on.
        folds: the number of folds.
        seed: the seed of the folds.

    Returns:
        (n,) labels.

    Raises:
        UserError: as `fit_classifier`.
    """
    check_training_data(features, labels)
    check_enough_of_each(labels, folds)
    predicted = np.empty_like(labels)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for rows, others in splitter.split(features, labels):
        fitted = fit_classifier(
            classifier, features[rows], labels[rows], standardise=standardise, seed=seed
        )
        predicted[others] = fitted.predict(features[others])
    return predicted


def _fit(
    classifier: rules.Classifier,
    value: float,
    features: Features,
    labels: Labels,
    standardise: bool,
    seed: int,
) -> FittedClassifier:
    if isinstance(classifier, rules.NearestNeighbors) and value > len(labels):
        raise UserError(
            f"{value:g} neighbours cannot be found among {len(labels)} training items: choose a "
            "smaller k"
        )
    estimator = _estimator(classifier, value, seed)
    pipeline = make_pipeline(StandardScaler() if standardise else None, estimator)
    # With one thread a product, numbers do not depend on the cores.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported by ``converged``
        pipeline.fit(features.astype(np.float64), labels)

    def predict(others: Features) -> Labels:
        check_features(others, "features to classify")
        with threadpool_limits(1):
            predicted: Labels = pipeline.predict(others.astype(np.float64))
        return predicted

    converged = True
    if isinstance(classifier, rules.LinearSVC | rules.LogisticRegression):
        converged = bool(np.max(estimator.n_iter_) < estimator.max_iter)
    return FittedClassifier(predict, value, converged)


def _estimator(classifier: rules.Classifier, value: float, seed: int) -> Any:
    if isinstance(classifier, rules.LinearSVC):
        return LinearSVC(C=value, max_iter=_MAX_ITERATIONS, random_state=seed)
    if isinstance(classifier, rules.KernelSVC):
        return SVC(C=value, kernel="linear")
    if isinstance(classifier, rules.LogisticRegression):
        return LogisticRegression(C=value, max_iter=10 * _MAX_ITERATIONS)
    if isinstance(classifier, rules.NearestNeighbors):
        return KNeighborsClassifier(int(value), algorithm="brute")
    return RidgeClassifier(alpha=value, solver="cholesky")
