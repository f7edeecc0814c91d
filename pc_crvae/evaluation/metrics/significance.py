"""Whether one classifier beats another on the same shapes: the interval of their difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pc_crvae.randomness.keys import keyed_numpy_generator

LEVEL = 0.95
_RESAMPLES = 4_000


@dataclass(frozen=True)
class PairedDifference:
    """A difference of accuracies, in [-1, 1].

    Attributes:
        mean: first less second.
        low: lower end of the interval at `LEVEL`.
        high: upper end.
    """

    mean: float
    low: float
    high: float


def paired_difference(
    first: NDArray[np.bool_] | NDArray[np.float64],
    second: NDArray[np.bool_] | NDArray[np.float64],
    seed: int = 0,
) -> PairedDifference:
    """Difference of two accuracies with its bootstrap percentile interval.

    Shapes and probe seeds are drawn anew with replacement, the same for both, so that what is
    hard for both does not widen the interval (Efron & Tibshirani 1993, chapter 13).

    Args:
        first: (S, n), whether each of n shapes was classified right under each of S seeds, or
            how often, in [0, 1].
        second: (S, n), of the other.
        seed: the seed of the resampling.

    Raises:
        ValueError: different shapes, or nothing to compare.
    """
    if first.shape != second.shape or first.ndim != 2 or first.size == 0:
        raise ValueError(
            f"paired accuracies need two equal tables (S, n), not {first.shape} and {second.shape}"
        )
    difference = first.astype(np.float64) - second
    n_seeds, n_shapes = difference.shape
    seeds, shapes = _shares(n_seeds, n_shapes, seed)
    resampled = ((seeds @ difference) * shapes).sum(axis=1)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return PairedDifference(float(difference.mean()), float(low), float(high))


@lru_cache(maxsize=1)
def _shares(
    n_seeds: int, n_shapes: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much each seed and each shape counts in every resample: drawing them is what costs."""
    generator = keyed_numpy_generator("paired difference", seed)
    seeds = generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), _RESAMPLES) / n_seeds
    shapes = generator.multinomial(n_shapes, np.full(n_shapes, 1 / n_shapes), _RESAMPLES) / n_shapes
    for shares in (seeds, shapes):
        shares.setflags(write=False)
    return seeds, shapes


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
