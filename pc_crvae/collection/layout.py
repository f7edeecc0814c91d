"""Where shapes lie on the map: near to those that they are like."""

import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from io import TextIOBase

import numpy as np
from numpy.typing import NDArray

LAYOUT = 1
"""Raise it where the map of the same shapes comes out differently."""

STEPS = 1000
"""Of the descent that lays shapes out; it may end before."""

_PERPLEXITY = 30.0
_FEWEST = 5  # shapes among which neighbours can be preserved
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
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    flat = np.pad(codes[:, :2], ((0, 0), (0, max(0, 2 - codes.shape[1]))))
    spread = float(np.abs(codes).max(initial=0))
    if len(codes) < _FEWEST or spread < 1e-9:
        return _framed(flat)
    with threadpool_limits(1), redirect_stdout(_Printed(advance)):
        places = TSNE(
            perplexity=min(_PERPLEXITY, (len(codes) - 1) / 3),
            init=flat / max(float(np.std(flat[:, 0])), 1e-12) * 1e-4,
            random_state=0,
            method="exact" if len(codes) <= _EXACT else "barnes_hut",
            n_jobs=1,
            max_iter=STEPS,
            verbose=2,  # it has no other way to tell how far it is
        ).fit_transform(codes / spread)
        # Turned, which changes no distance: the longest way across lies across the page.
        turned = PCA(2, svd_solver="full").fit_transform(np.asarray(places, dtype=np.float64))
    return _framed(turned)


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
