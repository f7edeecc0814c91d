"""Options crossed in tests: every pair of values every day, every combination in the slow tests."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest


def crossed(*options: Sequence[Any]) -> list[Any]:
    """Parameters of every combination; those beyond a set that holds every pair are slow."""
    choices = [range(len(values)) for values in options]
    combinations = list(itertools.product(*choices))
    uncovered = set().union(*map(_pairs, combinations))
    everyday = set()
    while uncovered:
        best = max(combinations, key=lambda chosen: len(_pairs(chosen) & uncovered))
        everyday.add(best)
        uncovered -= _pairs(best)
    return [
        pytest.param(
            *(values[place] for values, place in zip(options, chosen, strict=True)),
            marks=() if chosen in everyday else pytest.mark.slow,
        )
        for chosen in combinations
    ]


def _pairs(chosen: Sequence[int]) -> set[Any]:
    return set(itertools.combinations(enumerate(chosen), 2))
