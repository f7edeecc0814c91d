"""Where shapes lie on the map: near to those that they are like."""

import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import TextIOBase

import numpy as np
from numpy.typing import NDArray

from pc_crvae.visualization.embedding_map import FEWEST, tsne

LAYOUT = 1
"""Raise it where the map of the same shapes comes out differently."""

STEPS = 1000
"""Of the descent that lays shapes out; it may end before."""

_EXACT = 400  # shapes up to which no approximation is needed for speed


def lay_out(
    codes: NDArray[np.float64], advance: Callable[[], None] = lambda: None
) -> NDArray[np.float64]:
    """Lay shapes out in the plane by t-SNE, the same each time.

    Nothing is drawn: it starts from the first two principal directions, on one thread.

    Args:
        codes: (n, c), their columns by falling variance, as :func:`~.groups.reduced` gives them.
        advance: a function to call after each of at most `STEPS` steps.

    Returns:
        (n, 2) in [-1, 1]; of fewer than five shapes, or of shapes that all coincide, by the first
        two directions.
    """
    from threadpoolctl import threadpool_limits

    flat = np.pad(codes[:, :2], ((0, 0), (0, max(0, 2 - codes.shape[1]))))
    spread = float(np.abs(codes).max(initial=0))
    if len(codes) < FEWEST or spread < 1e-9:
        return _framed(flat)
    with threadpool_limits(1), redirect_stdout(_Printed(advance)):
        method = "exact" if len(codes) <= _EXACT else "barnes_hut"
        # Verbose, as it has no other way to tell how far it is.
        places = tsne(codes / spread, flat, method=method, n_jobs=1, max_iter=STEPS, verbose=2)
    return _framed(places)


class _Printed(TextIOBase):
    """Takes the lines that t-SNE prints, counts the steps they tell of, and prints all others."""

    def __init__(self, advance: Callable[[], None]) -> None:
        self._advance = advance
        self._done = 0
        self._line = ""
        self._others = sys.stdout

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if not line.startswith("[t-SNE]"):
                self._others.write(line + "\n")
            elif step := re.search(r"Iteration (\d+)", line):
                for _ in range(self._done, int(step[1])):
                    self._advance()
                self._done = max(self._done, int(step[1]))
        return len(text)


def _framed(places: NDArray[np.float64]) -> NDArray[np.float64]:
    centered = places - (places.min(axis=0) + places.max(axis=0)) / 2
    framed: NDArray[np.float64] = centered / max(float(np.abs(centered).max(initial=0)), 1e-12)
    return framed
