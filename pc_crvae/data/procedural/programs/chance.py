"""Random choices of a program, from a stream of uniform numbers drawn in blocks."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

_Choice = TypeVar("_Choice")

_BLOCK = 192


class Chance:
    """Random choices, a uniform number each.

    Args:
        rng: a generator that nothing else draws from.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: list[float] = []

    def unit(self) -> float:
        """A number on [0, 1)."""
        if not self._left:
            # One at a time, a call of NumPy's would cost more than what is made of the number.
            self._left = self._rng.random(_BLOCK).tolist()
        return self._left.pop()

    def happens(self, probability: float) -> bool:
        """Whether something happens."""
        return self.unit() < probability

    def uniform(self, low: float, high: float) -> float:
        """A number on [low, high)."""
        return low + (high - low) * self.unit()

    def log_uniform(self, low: float, high: float) -> float:
        """A number on [low, high) whose logarithm is uniform."""
        return low * math.exp(math.log(high / low) * self.unit())

    def integer(self, low: int, high: int) -> int:
        """One of low, ..., high."""
        return low + int((high - low + 1) * self.unit())

    def sign(self) -> float:
        """-1 or 1."""
        return 1.0 if self.unit() < 0.5 else -1.0

    def one_of(self, choices: Sequence[_Choice]) -> _Choice:
        """One of the choices, each as likely as another."""
        return choices[int(len(choices) * self.unit())]

    def weighted(self, weights: Mapping[_Choice, float]) -> _Choice:
        """One of the keys, as likely as its weight says; the weights sum to 1."""
        left = self.unit()
        for choice, weight in weights.items():
            left -= weight
            if left < 0:
                return choice
        return choice
