"""Whether one classifier beats another on the same shapes: the interval of their difference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pc_crvae.randomness import keyed_numpy_generator

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
    first: NDArray[np.bool_], second: NDArray[np.bool_], seed: int = 0
) -> PairedDifference:
    """Difference of two accuracies with its bootstrap percentile interval.

    Shapes and probe seeds are drawn anew with replacement, the same for both, so that what is
    hard for both does not widen the interval (Efron & Tibshirani 1993, chapter 13).

    Args:
        first: (S, n), whether each of n shapes was classified right under each of S seeds.
        second: (S, n), of the other.
        seed: of the resampling.

    Raises:
        ValueError: different shapes, or nothing to compare.
    """
    if first.shape != second.shape or first.ndim != 2 or first.size == 0:
        raise ValueError(
            f"paired accuracies need two equal tables (S, n), not {first.shape} and {second.shape}"
        )
    difference = first.astype(np.float64) - second
    n_seeds, n_shapes = difference.shape
    generator = keyed_numpy_generator("paired difference", seed)
    seeds = generator.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), _RESAMPLES) / n_seeds
    shapes = generator.multinomial(n_shapes, np.full(n_shapes, 1 / n_shapes), _RESAMPLES) / n_shapes
    resampled = ((seeds @ difference) * shapes).sum(axis=1)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return PairedDifference(float(difference.mean()), float(low), float(high))
