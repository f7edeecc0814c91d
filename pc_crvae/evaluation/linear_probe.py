"""A linear support vector machine on frozen features: what they say about the classes.

One-vs-rest, L2-regularised, squared hinge loss: the model that scikit-learn's ``LinearSVC``
fits. The solver is our own because the probe needs a whole path of penalties to convergence:
all classes share one matrix product, each C starts at the solution of the C before it, and
L-BFGS runs in coordinates in which the problem is well conditioned. On 2,793 x 1,024 features
this converges where liblinear stops at its iteration limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from pc_crvae.errors import UserError

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

DEFAULT_C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_MAX_ITERATIONS = 2000
_TOLERANCE = 1e-6  # relative decrease of the objective, all classes together


@dataclass(frozen=True)
class FittedProbe:
    """A fitted classifier; ``predict`` standardises by the training statistics it holds.

    Attributes:
        c: the penalty C it was fitted with.
        converged: whether the solver reached its tolerance for every fit that led here.
        classes: (K,) the labels seen in training, ascending.
        shift: (d,) training means.
        scale: (d,) training standard deviations, 1 for a constant feature.
        weights: (d + 1, K) one column a class, the intercept last.
        validation_accuracy: accuracy over the held-out folds for each C tried, empty where there
            was but one.
    """

    c: float
    converged: bool
    classes: Labels
    shift: Floats
    scale: Floats
    weights: Floats
    validation_accuracy: tuple[tuple[float, float], ...] = ()

    def predict(self, features: NDArray[np.floating]) -> Labels:
        """Return the label (n,) with the largest decision value for features (n, d)."""
        _check_features(features, "features to classify")
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
) -> FittedProbe:
    """Fit a linear SVM, its C chosen by stratified cross-validation on these samples alone.

    Each fold is standardised by the statistics of its own training part. The C with most
    held-out samples right wins, the smallest one where several tie. A grid of a single C
    leaves nothing to choose, and no fold is made.

    Args:
        features: (n, d) finite features of the training shapes.
        labels: (n,) their classes.
        c_grid: the penalties to try.
        folds: number of folds.
        seed: decides which sample falls into which fold.

    Raises:
        UserError: a NaN or infinite feature, another number of labels than of samples,
            a single class, or a class with fewer samples than folds.
    """
    _check_training_data(features, labels)
    grid = sorted(c_grid)
    if len(grid) == 1:
        return _fit_path(features, labels, grid)[0]
    _check_folds(labels, folds)
    correct = np.zeros(len(grid), dtype=np.int64)
    converged = True
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fitted_on, held_out in splitter.split(features, labels):
        for position, probe in enumerate(_fit_path(features[fitted_on], labels[fitted_on], grid)):
            predictions = probe.predict(features[held_out])
            correct[position] += np.count_nonzero(predictions == labels[held_out])
            converged &= probe.converged
    final = _fit_path(features, labels, grid[: correct.argmax() + 1])[-1]
    return replace(
        final,
        converged=converged and final.converged,
        validation_accuracy=tuple(zip(grid, (correct / len(labels)).tolist(), strict=True)),
    )


def accuracy(labels: Labels, predictions: Labels) -> float:
    """Share of samples predicted right, in [0, 1]."""
    _check_lengths(labels, predictions)
    return float(np.mean(labels == predictions))


def class_mean_accuracy(labels: Labels, predictions: Labels) -> float:
    """Mean over the classes present in ``labels`` of each one's accuracy, in [0, 1]."""
    _check_lengths(labels, predictions)
    right = labels == predictions
    return float(np.mean([right[labels == label].mean() for label in np.unique(labels)]))


def _fit_path(
    features: NDArray[np.floating], labels: Labels, grid: Sequence[float]
) -> list[FittedProbe]:
    """Fit one classifier for each C of an ascending ``grid``, each starting at the last.

    For every class k with targets y in {-1, 1} this minimises over w, intercept included as
    liblinear does, 1/2 |w|^2 + C sum_i max(0, 1 - y_i w.x_i)^2. With X'X = V diag(e) V' its
    Hessian lies between I and V diag(1 + 2 C e) V', so u = diag(1 + 2 C e)^(1/2) V' w are
    coordinates in which no direction is steep.
    """
    scaler = StandardScaler().fit(features.astype(np.float64))
    inputs = _with_intercept(scaler.transform(features.astype(np.float64)))  # (n, d + 1)
    classes = np.unique(labels)
    targets = np.where(labels[:, None] == classes, 1.0, -1.0)  # (n, K)
    eigenvalues, basis = np.linalg.eigh(inputs.T @ inputs)
    rotated = inputs @ basis
    weights = np.zeros((inputs.shape[1], len(classes)))  # in the eigenbasis
    path = []
    for c in grid:
        stretch = np.sqrt(1 + 2 * c * eigenvalues.clip(min=0))[:, None]  # (d + 1, 1)
        weights, converged = _minimise(rotated / stretch.T, targets, c, stretch, weights)
        path.append(
            FittedProbe(c, converged, classes, scaler.mean_, scaler.scale_, basis @ weights)
        )
    return path


def _minimise(
    inputs: Floats, targets: Floats, c: float, stretch: Floats, start: Floats
) -> tuple[Floats, bool]:
    """Return the minimiser in unstretched coordinates and whether L-BFGS converged."""

    def objective_and_gradient(flat: Floats) -> tuple[float, Floats]:
        stretched = flat.reshape(start.shape)
        slack = np.maximum(1 - targets * (inputs @ stretched), 0)
        shrunk = stretched / stretch**2
        objective = 0.5 * np.sum(stretched * shrunk) + c * np.sum(slack**2)
        gradient = shrunk - 2 * c * (inputs.T @ (targets * slack))
        return float(objective), gradient.ravel()

    result = minimize(
        objective_and_gradient,
        (start * stretch).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _MAX_ITERATIONS, "maxfun": 2 * _MAX_ITERATIONS, "ftol": _TOLERANCE},
    )
    return result.x.reshape(start.shape) / stretch, bool(result.success)


def _with_intercept(inputs: Floats) -> Floats:
    return np.hstack([inputs, np.ones((len(inputs), 1))])


def _check_training_data(features: NDArray[np.floating], labels: Labels) -> None:
    _check_features(features, "training features")
    _check_lengths(features, labels)
    if len(np.unique(labels)) < 2:
        raise UserError("the training labels hold a single class: a probe needs at least two.")


def _check_folds(labels: Labels, folds: int) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < folds:
        raise UserError(
            f"class {classes[counts.argmin()]} has {counts.min()} training samples, fewer than"
            f" the {folds} folds of the cross-validation: add samples of it, or leave it out."
        )


def _check_features(features: NDArray[np.floating], what: str) -> None:
    if features.ndim != 2:
        raise ValueError(f"{what} must be (n, d), got shape {features.shape}")
    bad = np.count_nonzero(~np.isfinite(features).all(axis=1))
    if bad:
        raise UserError(
            f"{bad} of {len(features)} rows of the {what} are NaN or infinite: check the encoder"
            " that made them, for example for diverged weights."
        )


def _check_lengths(first: NDArray[np.generic], labels: NDArray[np.generic]) -> None:
    if labels.ndim != 1:
        raise ValueError(f"labels must be (n,), got shape {labels.shape}")
    if len(first) != len(labels) or len(labels) == 0:
        raise UserError(
            f"{len(first)} samples came with {len(labels)} labels: the probe needs one label a"
            " sample and at least one sample."
        )
