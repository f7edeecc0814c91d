"""A linear support vector machine on frozen features: what they say about the classes.

One-vs-rest, L2-regularised, squared hinge loss: the model that scikit-learn's ``LinearSVC``
fits. The solver is our own because the probe needs a whole path of penalties to convergence.
It is the finite Newton method of Keerthi & DeCoste (2005, "A Modified Finite Newton Method for
Fast Solution of Large Scale Linear SVMs"), all classes side by side: each C starts at the
solution of the C before it, and each step goes to the minimum along its line. How far a solution
is from the best is bounded, not guessed: at the dual variables 2 C max(0, 1 - y w.x) the duality
gap is half the squared norm of the gradient.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_solve
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from pc_crvae.evaluation.classes import check_enough_of_each, check_training_data
from pc_crvae.evaluation.metrics.arrays import Labels, check_features
from pc_crvae.evaluation.probe.classifier_settings import DEFAULT_C_GRID as DEFAULT_C_GRID
from pc_crvae.evaluation.probe.sample_factors import SampleFactors, factor
from pc_crvae.evaluation.probe.sample_products import SampleProducts

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_Float = TypeVar("_Float", np.float32, np.float64)

_EASY_C = 1e-4  # a larger one is led up to in decades
_MAX_STEPS = 100  # Newton steps at one C; 3 to 10 are usual
_TOLERANCE = 1e-4  # duality gap of each class, relative to its objective
_SHARED_ABOVE = 100  # products of rows or columns a sample: costs meet there
_FACTORED = 0.4  # cost of factoring m rows: so many times m^3, in products of d
_MAX_SHARED_STEPS = 20
_STALE = 0.25  # change of the active samples that a preconditioner outlives
_FEW_CLASSES = 8  # conjugate steps of so few cost less than another preconditioner
_MAX_CONJUGATE_STEPS = 50
_MAX_LINE_STEPS = 20
_MOST_ROUNDING = 10.0  # of all samples' 2 C X'X, beside the identity, in single precision
_TINY = np.finfo(np.float64).tiny
_TINY_SINGLE = np.finfo(np.float32).tiny


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
    held-out samples right wins, the smallest one where several tie. A grid of a single C
    leaves nothing to choose, and no fold is made.

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
    fold_paths = _fit_paths(features, labels, parts, grid, standardise)
    predicted = np.empty((len(grid), len(labels)), dtype=np.asarray(labels).dtype)
    for path, rows in zip(fold_paths, held_out, strict=True):
        predicted[:, rows] = [probe.predict(features[rows]) for probe in path]
    best = np.count_nonzero(predicted == labels, axis=1).argmax()
    up_to_best = grid[: best + 1]
    final = _fit_paths(features, labels, [everything], up_to_best, standardise)[0][-1]
    converged = all(probe.converged for path in fold_paths for probe in path)
    return replace(final, converged=converged and final.converged, held_out=predicted[best])


def _fit_paths(
    features: NDArray[np.floating],
    labels: Labels,
    parts: Sequence[Labels],
    grid: Sequence[float],
    standardise: bool,
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
                    lambda rows: _fit_path(features[rows], labels[rows], grid, standardise), parts
                )
            )
    finally:
        torch.set_num_threads(torch_threads)


def _fit_path(
    features: NDArray[np.floating], labels: Labels, grid: Sequence[float], standardise: bool
) -> list[FittedProbe]:
    """Fit one classifier for each C of an ascending ``grid``, each starting at the last."""
    shift, scale = np.zeros(features.shape[1]), np.ones(features.shape[1])
    scaled = features.astype(np.float64)
    if standardise:
        scaler = StandardScaler().fit(scaled)
        shift, scale, scaled = scaler.mean_, scaler.scale_, scaler.transform(scaled)
    inputs, basis = _in_their_span(_with_intercept(scaled))  # (n, r), (d + 1, r)
    classes = np.unique(labels)
    targets = np.where(labels[:, None] == classes, 1.0, -1.0)  # (n, K)
    grams = _ActiveGrams(inputs, len(classes))
    weights = np.zeros((inputs.shape[1], len(classes)))
    path = []
    reached = _EASY_C
    for c in grid:
        while c > 11 * reached:  # from further away Newton's steps zigzag
            weights, _ = _minimise(inputs, targets, reached, weights, grams)
            reached *= 10
        weights, converged = _minimise(inputs, targets, c, weights, grams)
        of_features = weights if basis is None else basis @ weights
        path.append(FittedProbe(c, converged, classes, shift, scale, of_features))
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


def _minimise(
    inputs: Floats, targets: Floats, c: float, start: Floats, grams: "_ActiveGrams"
) -> tuple[Floats, bool]:
    """Return the minimiser (d + 1, K) and whether every class came within the tolerance.

    For every class k with targets y in {-1, 1} the objective over w, intercept included as
    liblinear does, is 1/2 |w|^2 + C sum_i max(0, 1 - y_i w.x_i)^2.
    """
    weights = start.copy()
    margins = targets * (inputs @ weights)  # (n, K)
    unfinished = np.arange(weights.shape[1])
    shared = _SharedDirection(inputs.astype(np.float32), c)
    for step in range(_MAX_STEPS):
        slack = np.maximum(1 - margins[:, unfinished], 0)
        gradient = weights[:, unfinished] - 2 * c * (inputs.T @ (targets[:, unfinished] * slack))
        objective = _dots(weights[:, unfinished]) / 2 + c * _dots(slack)
        going_on = _dots(gradient) / 2 > _TOLERANCE * objective
        unfinished, gradient = unfinished[going_on], gradient[:, going_on]
        if not len(unfinished):
            return weights, True
        active = slack[:, going_on] > 0
        # Many active samples are much the same ones for all classes, and costly to sum.
        products = np.mean(_products(np.count_nonzero(active, axis=0), inputs.shape[1]))
        if step < _MAX_SHARED_STEPS and products > _SHARED_ABOVE * len(inputs):
            direction = shared.direction(active, gradient)
        else:
            direction = grams.direction(unfinished, active, c, gradient)
        change = targets[:, unfinished] * (inputs @ direction)
        length = _line_minimum(
            weights[:, unfinished], direction, 1 - margins[:, unfinished], change, c
        )
        weights[:, unfinished] += length * direction
        margins[:, unfinished] += length * change
    return weights, False


def _products(counts: NDArray[np.int64], dimensions: int) -> Floats:
    """What an exact direction costs for so many active samples (k,), in products of two rows.

    Where they are fewer than the dimensions their products are there already, and what remains is
    to factor a matrix of their size.
    """
    factored: Floats = _FACTORED * counts.astype(np.float64) ** 3 / dimensions
    return np.where(counts < dimensions, factored, counts * float(dimensions))


class _SharedDirection:
    """Newton directions to a tenth at one C, by conjugate gradients for all classes at once.

    The preconditioner is the mean over classes of their generalised Hessians
    I + 2 C X_active' X_active, made anew where the active samples have changed much and more than
    a few classes ask. Single precision is enough for a direction.
    """

    def __init__(self, inputs: NDArray[np.float32], c: float) -> None:
        self.inputs = inputs
        self.c = c
        self.shares = np.zeros(len(inputs), dtype=np.float32)
        self.factor: tuple[NDArray[np.floating], bool] | None = None

    def direction(self, active: Flags, gradient: Floats) -> Floats:
        """Directions (d + 1, k) for the active samples (n, k) of classes."""
        preconditioner = self._preconditioner(active)
        residual = -gradient.astype(np.float32)
        direction = np.zeros_like(residual)
        solved: NDArray[np.float32] = cho_solve(preconditioner, residual, check_finite=False)
        search = solved
        size = first = _dots(residual, solved)
        for _ in range(_MAX_CONJUGATE_STEPS):
            forward = active * (self.inputs @ search)  # (n, k)
            curved = search + np.float32(2 * self.c) * (self.inputs.T @ forward)
            length = size / np.maximum(_dots(search, curved), _TINY_SINGLE)
            direction += length * search
            residual -= length * curved
            solved = cho_solve(preconditioner, residual, check_finite=False)
            last, size = size, _dots(residual, solved)
            if np.all(size <= 0.01 * first):
                break
            carried = (size / np.maximum(last, _TINY_SINGLE)).astype(np.float32)
            search = solved + carried * search
        return direction.astype(np.float64)

    def _preconditioner(self, active: Flags) -> tuple[NDArray[np.floating], bool]:
        shares = active.mean(axis=1, dtype=np.float32)  # of classes in which a sample is active
        is_stale = np.abs(shares - self.shares).sum() > _STALE * shares.sum()
        if self.factor is None or (is_stale and active.shape[1] > _FEW_CLASSES):
            scaled = self.inputs * np.sqrt(shares)[:, None]
            self.shares, self.factor = shares, factor(scaled.T @ scaled, self.c)
        return self.factor


class _ActiveGrams:
    """X'X over each class's active samples, kept up to date by those that came or went.

    Where fewer samples are active than there are dimensions, XX' is smaller and cheaper. There
    single precision is enough for a direction, unless C is so large that rounding would be most
    of it.
    """

    def __init__(self, inputs: Floats, classes: int) -> None:
        self.inputs = inputs
        self.grams: dict[int, Floats] = {}
        self.counted = np.zeros((classes, len(inputs)), dtype=bool)
        self.largest_single = _MOST_ROUNDING / (
            2 * np.finfo(np.float32).eps * max(float(_dots(inputs).sum()), _TINY)
        )
        self.factors: dict[bool, SampleFactors] = {}

    def _factors_for(self, c: float) -> SampleFactors:
        is_single = bool(c <= self.largest_single)
        if is_single not in self.factors:
            self.factors.clear()  # C rises, and none comes back to the other precision
            dtype = np.float32 if is_single else np.float64
            self.factors[is_single] = SampleFactors(SampleProducts(self.inputs.astype(dtype)))
        return self.factors[is_single]

    def direction(self, classes: Labels, active: Flags, c: float, gradient: Floats) -> Floats:
        """Exact Newton directions (d + 1, k) of some classes (k,), active (n, k)."""
        few = np.count_nonzero(active, axis=0) < self.inputs.shape[1]
        directions = np.empty_like(gradient)
        for column in np.flatnonzero(~few):
            k = classes[column]
            self._count(k, active[:, column])
            directions[:, column] = cho_solve(factor(self.grams[k], c), -gradient[:, column])
        directions[:, few] = self._from_samples(classes[few], active[:, few], c, gradient[:, few])
        return directions

    def _from_samples(self, classes: Labels, active: Flags, c: float, gradient: Floats) -> Floats:
        """Newton directions (d + 1, k) from the active samples A (m, d + 1) of each, m < d + 1.

        By the matrix inversion lemma (I + 2 C A'A)^-1 g = g - 2 C A' (I + 2 C AA')^-1 A g.
        """
        factors = self._factors_for(c)
        factors.products.prepare(active)
        inputs = factors.products.inputs
        along = inputs @ gradient.astype(inputs.dtype)  # (n, k), A g of all classes at once
        for column, (k, chosen) in enumerate(zip(classes, active.T, strict=True)):
            inner = factors.solve(k, chosen, c, along[chosen, column])
            along[:, column] = 0
            along[chosen, column] = inner
        directions: Floats = 2 * c * (inputs.T @ along) - gradient
        return directions

    def _count(self, k: int, active: Flags) -> None:
        dimensions = self.inputs.shape[1]
        gram = self.grams.setdefault(k, np.zeros((dimensions, dimensions)))
        counted = self.counted[k]
        if np.count_nonzero(active ^ counted) > np.count_nonzero(active):
            gram[:], counted[:] = 0, False
        came, went = self.inputs[active & ~counted], self.inputs[counted & ~active]
        gram += came.T @ came
        gram -= went.T @ went
        counted[:] = active


def _line_minimum(
    weights: Floats, direction: Floats, slack: Floats, change: Floats, c: float
) -> Floats:
    """Length (K,) of each class's step: where the slope falls to a hundredth of its start.

    The objective along the line is convex and piecewise quadratic: Newton's method on its
    slope, held between the lengths known to be too short and too long.

    Args:
        weights: (d + 1, K).
        direction: (d + 1, K), of descent.
        slack: (n, K) 1 - y w.x at the start, negative outside the margin.
        change: (n, K) y direction.x.
        c: the penalty C.
    """
    linear, quadratic = _dots(weights, direction), _dots(direction)
    start_slope = linear - 2 * c * _dots(np.maximum(slack, 0), change)
    short, long = np.zeros(len(linear)), np.full(len(linear), np.inf)
    length = np.ones(len(linear))
    for _ in range(_MAX_LINE_STEPS):
        left = np.maximum(slack - length * change, 0)
        slope = linear + length * quadratic - 2 * c * _dots(left, change)
        if np.all(np.abs(slope) <= 0.01 * np.abs(start_slope)):
            break
        short, long = np.where(slope < 0, length, short), np.where(slope > 0, length, long)
        length = length - slope / (quadratic + 2 * c * _dots(change * (left > 0), change))
        outside = (length < short) | (length > long)
        length = np.where(outside, (short + long) / 2, length)
    return length


def _dots(first: NDArray[_Float], second: NDArray[_Float] | None = None) -> NDArray[_Float]:
    """Dot products of columns: (m, K), (m, K) -> (K,)."""
    products: NDArray[_Float] = np.einsum("ij,ij->j", first, first if second is None else second)
    return products


def _with_intercept(inputs: Floats) -> Floats:
    return np.hstack([inputs, np.ones((len(inputs), 1))])
