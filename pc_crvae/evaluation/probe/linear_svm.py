"""A linear support vector machine on frozen features: what they say about the classes.

One-vs-rest, L2-regularised, squared hinge loss: the model that scikit-learn's ``LinearSVC``
fits. The solver is our own (`squared_hinge`) because the probe needs a whole path of penalties to
convergence: each C starts at the solution of the C before it.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from pc_crvae.evaluation.classes import check_enough_of_each, check_training_data
from pc_crvae.evaluation.metrics.arrays import Labels, check_features
from pc_crvae.evaluation.probe.classifier_settings import DEFAULT_C_GRID as DEFAULT_C_GRID
from pc_crvae.evaluation.probe.squared_hinge import ActiveGrams, minimise

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_EASY_C = 1e-4  # a larger one is led up to in decades
_CLEARLY = 3.0  # standard deviations


@dataclass(frozen=True)
class FittedProbe:
    """A fitted classifier; ``predict`` standardises by the training statistics it holds.

    Attributes:
        c: the penalty C it was fitted with.
        converged: whether the solver reached its tolerance for every fit that led here.
        classes: (K,) the labels seen in training, ascending.
        shift: (d,) training means, or 0 where the features are not standardised.
        scale: (d,) training standard deviations, 1 for a constant feature, or 1.
        weights: (d + 1, K) one column per class, the intercept last.
        held_out: (n,) what cross-validation predicted for each sample at this C, by the classifier
            that had not seen it; None where no fold was made.
    """

    c: float
    converged: bool
    classes: Labels
    shift: Floats
    scale: Floats
    weights: Floats
    held_out: Labels | None = None

    def predict(self, features: NDArray[np.floating]) -> Labels:
        """Return the label (n,) with the largest decision value for features (n, d)."""
        check_features(features, "features to classify")
        if features.shape[1] != len(self.shift):
            raise ValueError(f"expected {len(self.shift)} features, got {features.shape[1]}")
        inputs = _with_intercept((features.astype(np.float64) - self.shift) / self.scale)
        chosen: Labels = self.classes[np.argmax(inputs @ self.weights, axis=1)]
        return chosen


def fit_linear_svm(
    features: NDArray[np.floating],
    labels: Labels,
    *,
    c_grid: Sequence[float] = DEFAULT_C_GRID,
    folds: int = 3,
    seed: int = 0,
    standardise: bool = True,
) -> FittedProbe:
    """Fit a linear SVM, its C chosen by stratified cross-validation on these samples alone.

    Each fold is standardised by the statistics of its own training part. The C with most
    held-out samples right wins, the smallest one where several tie. A C that is clearly behind a
    smaller one in the first fold (`clearly_behind`) is left out, and so are larger ones. The final
    fit starts at the mean of the folds' classifiers. A grid of a single C leaves nothing to
    choose, and no fold is made.

    Args:
        features: (n, d) finite features of the training shapes.
        labels: (n,) their classes.
        c_grid: the penalties to try.
        folds: number of folds.
        seed: decides which sample falls into which fold.
        standardise: False leaves the features as they are.

    Raises:
        UserError: a NaN or infinite feature, another number of labels than of samples,
            a single class, or a class with fewer samples than folds.
    """
    check_training_data(features, labels)
    grid = sorted(c_grid)
    everything = np.arange(len(labels))
    if len(grid) == 1:
        return _fit_paths(features, labels, [everything], grid, standardise)[0][0]
    check_enough_of_each(labels, folds)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    held_out = [rows for _, rows in splitter.split(features, labels)]
    parts = [np.delete(everything, rows) for rows in held_out]
    folds_of_rows = list(zip(parts, held_out, strict=True))
    fold_paths = _fit_folds(features, labels, folds_of_rows, grid, standardise)
    predicted = np.empty((len(fold_paths[0]), len(labels)), dtype=np.asarray(labels).dtype)
    for path, rows in zip(fold_paths, held_out, strict=True):
        predicted[:, rows] = [probe.predict(features[rows]) for probe in path]
    best = int(np.count_nonzero(predicted == labels, axis=1).argmax())
    start = _mean([path[best] for path in fold_paths])
    final = _fit_paths(features, labels, [everything], [grid[best]], standardise, start)[0][0]
    converged = all(probe.converged for path in fold_paths for probe in path)
    return replace(final, converged=converged and final.converged, held_out=predicted[best])


def clearly_behind(right: Flags, of_another: Flags) -> bool:
    """Whether one classifier is right on clearly fewer of the same samples than another.

    That is by more than three standard deviations of the difference, which the samples make that
    just one of the two has right.

    Args:
        right: (n,) the samples that the one has right.
        of_another: (n,) those that the other has right.
    """
    lost = np.count_nonzero(of_another & ~right)
    gained = np.count_nonzero(right & ~of_another)
    return bool(lost - gained > _CLEARLY * np.sqrt(lost + gained))


def _fit_folds(
    features: NDArray[np.floating],
    labels: Labels,
    folds: Sequence[tuple[Labels, Labels]],
    grid: Sequence[float],
    standardise: bool,
) -> list[list[FittedProbe]]:
    """Fit a path on the first rows of each fold, of which the second are held out.

    All paths are of the same penalties, the smallest of the grid.
    """
    (fitted_on, held_out), *others = folds
    most = np.zeros(len(held_out), dtype=bool)

    def goes_on(probe: FittedProbe) -> bool:
        nonlocal most
        right = probe.predict(features[held_out]) == labels[held_out]
        most = max(most, right, key=np.count_nonzero)
        return not (probe.converged and clearly_behind(right, most))

    first = _fit_paths(features, labels, [fitted_on], grid, standardise, goes_on=goes_on)[0]
    tried = grid[: len(first)]
    return [first, *_fit_paths(features, labels, [rows for rows, _ in others], tried, standardise)]


def _mean(probes: Sequence[FittedProbe]) -> FittedProbe:
    """The mean of classifiers of one C as functions of features that are not standardised."""
    of_raw = [probe.weights[:-1] / probe.scale[:, None] for probe in probes]
    intercepts = [
        probe.weights[-1] - probe.shift @ raw for probe, raw in zip(probes, of_raw, strict=True)
    ]
    weights = np.vstack([np.mean(of_raw, axis=0), np.mean(intercepts, axis=0)])
    shift, scale = np.zeros_like(probes[0].shift), np.ones_like(probes[0].scale)
    return replace(probes[0], shift=shift, scale=scale, weights=weights)


def _fit_paths(
    features: NDArray[np.floating],
    labels: Labels,
    parts: Sequence[Labels],
    grid: Sequence[float],
    standardise: bool,
    start: FittedProbe | None = None,
    goes_on: Callable[[FittedProbe], bool] = lambda _: True,
) -> list[list[FittedProbe]]:
    """Fit a path on each part of the samples, as many side by side as BLAS would have threads.

    Whole paths share the cores better than the threads of a matrix product, which wait for
    each other at its end; and with one thread a product, numbers do not depend on the cores.
    """
    torch_threads = torch.get_num_threads()
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    threads = max((pool["num_threads"] for pool in pools), default=1)
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as executor:
            return list(
                executor.map(
                    lambda rows: _fit_path(
                        features[rows], labels[rows], grid, standardise, start, goes_on
                    ),
                    parts,
                )
            )
    finally:
        torch.set_num_threads(torch_threads)


def _fit_path(
    features: NDArray[np.floating],
    labels: Labels,
    grid: Sequence[float],
    standardise: bool,
    start: FittedProbe | None,
    goes_on: Callable[[FittedProbe], bool],
) -> list[FittedProbe]:
    """Fit one classifier for each C of an ascending ``grid``, each starting at the one before.

    Args:
        features: (n, d).
        labels: (n,).
        grid: the penalties.
        standardise: whether features are standardised.
        start: the classifier that the first fit starts at; None for weights of 0.
        goes_on: False for the classifier of a C that, like larger ones, is left out.
    """
    shift, scale = np.zeros(features.shape[1]), np.ones(features.shape[1])
    scaled = features.astype(np.float64)
    if standardise:
        scaler = StandardScaler().fit(scaled)
        shift, scale, scaled = scaler.mean_, scaler.scale_, scaler.transform(scaled)
    inputs, basis = _in_their_span(_with_intercept(scaled))  # (n, r), (d + 1, r)
    classes = np.unique(labels)
    targets = np.where(labels[:, None] == classes, 1.0, -1.0)  # (n, K)
    grams = ActiveGrams(inputs, len(classes))
    weights = np.zeros((inputs.shape[1], len(classes)))
    reached = _EASY_C
    if start is not None:
        raw, intercept = start.weights[:-1], start.weights[-1]
        weights = np.vstack([raw * scale[:, None], intercept + shift @ raw])
        weights = weights if basis is None else basis.T @ weights
        reached = start.c
    path = []
    for c in grid:
        while c > 11 * reached:  # from further away Newton's steps zigzag
            weights, _ = minimise(inputs, targets, reached, weights, grams)
            reached *= 10
        weights, converged = minimise(inputs, targets, c, weights, grams)
        of_features = weights if basis is None else basis @ weights
        probe = FittedProbe(c, converged, classes, shift, scale, of_features)
        if not goes_on(probe):
            break
        path.append(probe)
        reached = max(reached, c)
    return path


def _in_their_span(inputs: Floats) -> tuple[Floats, Floats | None]:
    """Samples (n, d + 1) by their coordinates (n, r) in an orthonormal basis (d + 1, r) of a span.

    Minimisers lie in the span of the samples. Where these are fewer than the dimensions, so are the
    coordinates; otherwise the samples stay as they are, and the basis is None.
    """
    if len(inputs) >= inputs.shape[1]:
        return inputs, None
    basis, coordinates = np.linalg.qr(inputs.T)
    return np.ascontiguousarray(coordinates.T), basis


def _with_intercept(inputs: Floats) -> Floats:
    return np.hstack([inputs, np.ones((len(inputs), 1))])
