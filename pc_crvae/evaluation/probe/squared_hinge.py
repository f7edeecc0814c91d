"""Minimisers of the regularised squared hinge loss, all classes side by side.

The finite Newton method of Keerthi & DeCoste (2005, "A Modified Finite Newton Method for Fast
Solution of Large Scale Linear SVMs"): each step goes to the minimum along its line. How far a
solution is from the best is bounded, not guessed: at the dual variables 2 C max(0, 1 - y w.x) the
duality gap is half the squared norm of the gradient.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve

from pc_crvae.evaluation.metrics.arrays import Labels
from pc_crvae.evaluation.probe.sample_factors import SampleFactors, factor
from pc_crvae.evaluation.probe.sample_products import SampleProducts

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
_Float = TypeVar("_Float", np.float32, np.float64)

_MAX_STEPS = 100  # Newton steps at one C; 3 to 10 are usual
_TOLERANCE = 1e-4  # duality gap of each class, relative to its objective
_SHARED_ABOVE = 100  # products of rows or columns a sample: costs meet there
_FACTORED = 0.4  # cost of factoring m rows: so many times m^3, in products of d
_MAX_SHARED_STEPS = 20
_STALE = 0.25  # change of the active samples that a preconditioner outlives
_FEW_CLASSES = 8  # conjugate steps of so few cost less than another preconditioner
_MAX_CONJUGATE_STEPS = 50
_MAX_LINE_STEPS = 20
_ROUNDED = 0.1  # of the decrease that a Newton direction promises
_MOST_ROUNDING = 10.0  # of all samples' 2 C X'X, beside the identity, in single precision
_TINY = np.finfo(np.float64).tiny
_TINY_SINGLE = np.finfo(np.float32).tiny


def minimise(
    inputs: Floats, targets: Floats, c: float, start: Floats, grams: "ActiveGrams"
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
        going_on = ~(_dots(gradient) / 2 <= _TOLERANCE * objective)  # nor is NaN near the best
        unfinished, gradient = unfinished[going_on], gradient[:, going_on]
        if not len(unfinished):
            return weights, True
        active = slack[:, going_on] > 0
        # Many active samples are much the same ones for all classes, and costly to sum.
        products = np.mean(_products(np.count_nonzero(active, axis=0), inputs.shape[1]))
        is_exact = step >= _MAX_SHARED_STEPS or products <= _SHARED_ABOVE * len(inputs)
        if not is_exact:
            direction = shared.direction(active, gradient)
        else:
            direction = grams.direction(unfinished, active, c, gradient)
        change = targets[:, unfinished] * (inputs @ direction)
        if (
            is_exact
            and not grams.is_double
            and _is_rounded(direction, change * active, gradient, c)
        ):
            grams.is_double = True
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


class ActiveGrams:
    """X'X over each class's active samples, kept up to date by those that came or went.

    Where fewer samples are active than there are dimensions, XX' is smaller and cheaper. There
    single precision is enough for a direction, unless C is so large that rounding would be most
    of it, or a direction has shown that it is.

    Attributes:
        is_double: whether single precision is not used any more.
    """

    def __init__(self, inputs: Floats, classes: int) -> None:
        self.inputs = inputs
        self.grams: dict[int, Floats] = {}
        self.counted = np.zeros((classes, len(inputs)), dtype=bool)
        self.largest_single = _MOST_ROUNDING / (
            2 * np.finfo(np.float32).eps * max(float(_dots(inputs).sum()), _TINY)
        )
        self.is_double = False
        self.factors: dict[bool, SampleFactors] = {}

    def _factors_for(self, c: float) -> SampleFactors:
        is_single = bool(c <= self.largest_single) and not self.is_double
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


def _is_rounded(direction: Floats, change: Floats, gradient: Floats, c: float) -> bool:
    """Whether the directions d (d + 1, k) lack what Newton's have: d'Hd = -d'g.

    Args:
        direction: (d + 1, k).
        change: (n, k) y d.x of active samples, 0 of the others.
        gradient: (d + 1, k), g.
        c: the penalty C.
    """
    curvature = _dots(direction) + 2 * c * _dots(change)
    decrease = -_dots(direction, gradient)
    return not np.all(np.abs(curvature - decrease) <= _ROUNDED * curvature)


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
