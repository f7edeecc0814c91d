"""Inner products of samples, XX', each made once though many subsets of the samples ask for it."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

_MOST_SAMPLES = 12_000  # 0.6 GB of products in single precision
_WORTH = 4  # times the products of one step, which many steps are saved from making


class SampleProducts:
    """The inner products among samples, made when subsets ask for them.

    The samples that are active for one class are in part active for the others, and at the next
    step and penalty too, so that most products of a step are there already.

    Args:
        inputs: (n, d) the samples.
        most: the products of so many samples are kept; beyond, those asked for last.
    """

    def __init__(self, inputs: Floats, most: int = _MOST_SAMPLES) -> None:
        self.inputs = inputs
        self._most = most
        self._forget()

    def _forget(self) -> None:
        self._places = np.full(len(self.inputs), -1)  # of a sample in the table
        self._count = 0
        dtype = self.inputs.dtype
        self._rows = np.empty((0, self.inputs.shape[1]), dtype)
        self._table = np.empty((0, 0), dtype)

    def prepare(self, subsets: Flags) -> None:
        """Make the products that subsets (n, k) will ask for, where keeping them is worth it."""
        union = subsets.any(axis=1)
        new = np.flatnonzero(union & (self._places < 0))
        if self._count + len(new) > self._most:
            self._forget()
            new = np.flatnonzero(union)
        asked_for = int(np.square(np.count_nonzero(subsets, axis=0)).sum())
        is_worth_it = len(new) * (self._count + len(new)) <= _WORTH * asked_for
        if len(new) and is_worth_it and len(new) <= self._most:
            self._add(new)

    def _add(self, new: NDArray[np.int64]) -> None:
        before, after = self._count, self._count + len(new)
        if after > len(self._table):
            room = min(2 * after, self._most, len(self.inputs))
            dtype = self.inputs.dtype
            table = np.empty((room, room), dtype)
            rows = np.empty((room, self.inputs.shape[1]), dtype)
            table[:before, :before] = self._table[:before, :before]
            rows[:before] = self._rows[:before]
            self._table, self._rows = table, rows
        added = self._rows[before:after] = self.inputs[new]
        cross = self._rows[:before] @ added.T
        self._table[:before, before:after] = cross
        self._table[before:after, :before] = cross.T
        self._table[before:after, before:after] = added @ added.T
        self._places[new] = np.arange(before, after)
        self._count = after

    def among(self, rows: Rows, others: Rows) -> Floats:
        """The products (m, p) of samples (m,) with others (p,), all by their places in inputs."""
        places, across = self._places[rows], self._places[others]
        if np.any(places < 0) or np.any(across < 0):
            direct: Floats = self.inputs[rows] @ self.inputs[others].T
            return direct
        kept: Floats = self._table[np.ix_(places, across)]
        return kept
