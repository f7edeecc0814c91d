"""Labels that may be read at some times only: the probe never sees one before it scores."""

from collections.abc import Callable

import numpy as np


class PoisonedLabels:
    """As labels (n,), but an error for whoever reads one while ``allowed()`` is false."""

    def __init__(self, labels: np.ndarray, allowed: Callable[[], bool]) -> None:
        self._labels = labels
        self._allowed = allowed
        self.ndim, self.shape, self.dtype = labels.ndim, labels.shape, labels.dtype
        self.reads = 0

    def __len__(self) -> int:
        return len(self._labels)

    def _read(self) -> np.ndarray:
        assert self._allowed(), "a test label was read before scoring"
        self.reads += 1
        return self._labels

    def __array__(self, dtype=None, copy=None):
        return np.array(self._read(), dtype=dtype)

    def __getitem__(self, index):
        return self._read()[index]

    def __iter__(self):
        return iter(self._read())

    def __eq__(self, other):
        return self._read() == other

    def __ne__(self, other):
        return self._read() != other

    def __getattr__(self, name):
        return getattr(self._read(), name)

    __hash__ = None
