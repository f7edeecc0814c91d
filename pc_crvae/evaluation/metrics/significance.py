"""Whether one classifier beats another on the same shapes: the interval of their difference."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from scipy.stats import t as student_t

from pc_crvae.randomness.keys import keyed_numpy_generator

LEVEL = 0.95
_RESAMPLES = 4_000
_RESAMPLES_AT_ONCE = 250


_Rightness = NDArray[np.bool_] | NDArray[np.float64]
"""(S, n), whether each of n shapes was classified right under each of S seeds, or how often."""


class PairedDifference(TypedDict):
    """A difference of accuracies, in [-1, 1], by the names of reports.

    Attributes:
        difference: first less second.
        interval: the ends of its interval at `LEVEL`.
    """

    difference: float
    interval: tuple[float, float]


def paired_difference(first: _Rightness, second: _Rightness) -> PairedDifference:
    """Difference of two accuracies with its bootstrap percentile interval.

    Shapes and probe seeds are drawn anew with replacement, the same for both, so that what is
    hard for both does not widen the interval (Efron & Tibshirani 1993, chapter 13).

    Few training seeds are drawn anew with too little variance: of three, whose differences deviate
    by 0, 0.5, 1 and 2 points, it held the truth in 0.994, 0.990, 0.965 and 0.922 of 1,000 simulated
    studies (`python -m benchmarks.interval_coverage`), `t_interval` in 0.984, 0.981, 0.964, 0.952.

    Args:
        first: (S, n), whether each of n shapes was classified right under each of S seeds, or
            how often, in [0, 1].
        second: (S, n), of the other.

    Raises:
        ValueError: different shapes, or nothing to compare.
    """
    difference = _difference(first, second)
    n_seeds, n_shapes = difference.shape
    seeds, shapes = _shares(n_seeds, n_shapes)
    resampled = ((seeds @ difference) * shapes).sum(axis=1)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {"difference": float(difference.mean()), "interval": (float(low), float(high))}


def t_interval(first: _Rightness, second: _Rightness) -> tuple[float, float] | None:
    """Interval at `LEVEL` of the difference of two accuracies that holds for few seeds too.

    The mean difference plus and minus t_df sqrt(a / S + b / n): a is the sample variance over
    seeds of each seed's difference, b that over shapes of each shape's difference averaged over
    seeds, and the degrees of freedom are Welch and Satterthwaite's (Welch 1947). The chance in a
    single answer is counted in both, so that the interval errs on the wide side.

    Args:
        first: (S, n), see `paired_difference`.
        second: (S, n), of the other.

    Returns:
        Low and high end; None for a single seed or shape.

    Raises:
        ValueError: different shapes, or nothing to compare.
    """
    difference = _difference(first, second)
    n_seeds, n_shapes = difference.shape
    if n_seeds < 2 or n_shapes < 2:
        return None
    of_seeds = float(difference.mean(axis=1).var(ddof=1)) / n_seeds
    of_shapes = float(difference.mean(axis=0).var(ddof=1)) / n_shapes
    variance, mean = of_seeds + of_shapes, float(difference.mean())
    if variance == 0:
        return mean, mean
    freedom = variance**2 / (of_seeds**2 / (n_seeds - 1) + of_shapes**2 / (n_shapes - 1))
    half = float(student_t.ppf((1 + LEVEL) / 2, freedom)) * variance**0.5
    return mean - half, mean + half


def _difference(first: _Rightness, second: _Rightness) -> NDArray[np.float64]:
    if first.shape != second.shape or first.ndim != 2 or first.size == 0:  # which NumPy may stretch
        raise ValueError(
            f"paired accuracies need two equal tables (S, n), not {first.shape} and {second.shape}"
        )
    return first.astype(np.float64) - second


@lru_cache(maxsize=1)
def _shares(n_seeds: int, n_shapes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much each seed and each shape counts in every resample: drawing them is what costs."""
    generator = keyed_numpy_generator("paired difference", 0)
    seeds = generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), _RESAMPLES) / n_seeds
    shapes = generator.multinomial(n_shapes, np.full(n_shapes, 1 / n_shapes), _RESAMPLES) / n_shapes
    for shares in (seeds, shapes):
        shares.setflags(write=False)
    return seeds, shapes


def item_intervals(
    values: NDArray[np.float64], groups: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Bootstrap percentile intervals of means over items, the same resamples for all of them.

    Of out-of-fold predictions these are intervals of the mean accuracy of classifiers fitted on so
    many items: where a learner is stable, cross-validation's error is asymptotically normal with
    the variance over items alone, though the folds' training parts overlap (Bayle et al. 2020,
    "Cross-validation confidence intervals for test error", arXiv 2007.12671).

    Args:
        values: (n, V), V values of each of n items: accuracies, or differences of two.
        groups: (n,) classes, whose means count alike: items are then drawn anew within each. None:
            items are drawn from all, and all count alike.

    Returns:
        (V, 2), both ends at `LEVEL`.
    """
    together = [np.arange(len(values))]
    if groups is not None:
        together = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    generator = keyed_numpy_generator("item intervals", 0)
    means = np.zeros((_RESAMPLES, values.shape[1]))
    for rows in together:
        even = np.full(len(rows), 1 / len(rows))
        for start in range(0, _RESAMPLES, _RESAMPLES_AT_ONCE):
            counts = generator.multinomial(len(rows), even, _RESAMPLES_AT_ONCE)
            part = means[start : start + _RESAMPLES_AT_ONCE]
            part += counts @ values[rows] / (len(rows) * len(together))
    return np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T


def mcnemar_exact(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """The exact McNemar test of equal accuracy on the same shapes: its two-sided p-value.

    Of the shapes that only one side classified right, either side should have half (McNemar
    1947); shapes that both got right or wrong say nothing.

    Args:
        first: (n,), whether each shape was classified right.
        second: (n,), of the other.

    Raises:
        ValueError: different shapes.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"paired answers need one shape (n,), not {first.shape}, {second.shape}")
    only_first = int(np.count_nonzero(first & ~second))
    only_second = int(np.count_nonzero(second & ~first))
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def combined_p_value(p_values: Sequence[float]) -> float:
    """One p-value from those of several seeds on the same shapes, whatever their dependence.

    Twice the mean, at most 1 (Vovk & Wang 2020, "Combining p-values via averaging"); of one it
    is that one.
    """
    if len(p_values) == 1:
        return p_values[0]
    return min(1.0, 2 * float(np.mean(p_values)))
