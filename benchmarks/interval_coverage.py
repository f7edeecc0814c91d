"""How often the intervals of paired differences cover the truth, by simulation.

    python -m benchmarks.interval_coverage

Two arms that are equally good on average are trained with three seeds each; three probes of each
answer the same 900 test items. An item is easy or hard, more for one arm than for the other at
random; an answer is right with the item's probability, shifted by what its training seed is worth.
The rows of the table are the standard deviations, in points of accuracy, of the difference between
the arms from one training seed to the next.
"""

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pc_crvae.evaluation.metrics.significance import paired_difference, t_interval

ITEMS = 900
SEEDS = 3
PROBES = 3
DEVIATIONS = (0.0, 0.5, 1.0, 2.0)
"""In points."""

_Table = NDArray[np.float64]
INTERVALS: dict[str, Callable[[_Table, _Table], tuple[float, float]]] = {
    "bootstrap": lambda first, second: _ends(first, second),
    "t": lambda first, second: t_interval(first, second) or (np.nan, np.nan),
}


def coverage(deviation: float, trials: int, seed: int = 0) -> dict[str, float]:
    """The share of trials in which each interval holds 0, the true difference.

    Args:
        deviation: of the difference from seed to seed, in points.
        trials: simulated studies.
        seed: fixes the draws.
    """
    rng = np.random.default_rng([seed, round(10 * deviation)])
    held = dict.fromkeys(INTERVALS, 0)
    for _ in range(trials):
        arms = _arms(deviation / 100, rng)
        for name, interval in INTERVALS.items():
            low, high = interval(*arms)
            held[name] += low <= 0 <= high
    return {name: count / trials for name, count in held.items()}


def _arms(deviation: float, rng: np.random.Generator) -> tuple[_Table, _Table]:
    """How often right, (SEEDS, ITEMS) of each of two arms."""
    # Most items are right or wrong whatever the seed: 0.9 of them are right on average.
    easiness = rng.beta(0.9, 0.1, ITEMS)
    apart = rng.normal(0, 0.05, ITEMS)
    shifts = rng.normal(0, deviation / np.sqrt(2), (2, SEEDS, 1))
    first, second = (
        rng.binomial(PROBES, np.clip(easiness + sign * apart + of_seeds, 0, 1)) / PROBES
        for sign, of_seeds in zip((1, -1), shifts, strict=True)
    )
    return first, second


def _ends(first: _Table, second: _Table) -> tuple[float, float]:
    return paired_difference(first, second)["interval"]


def main() -> None:
    """Print the table of coverage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=1000, help="simulated studies a row")
    trials = parser.parse_args().trials
    print("| deviation of seeds, points |", " | ".join(INTERVALS), "|")
    print("|---|" + "---|" * len(INTERVALS))
    for deviation in DEVIATIONS:
        found = coverage(deviation, trials)
        print(f"| {deviation:g} |", " | ".join(f"{share:.3f}" for share in found.values()), "|")


if __name__ == "__main__":
    main()
