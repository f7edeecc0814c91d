"""Systems of active samples, solved by a factor of earlier ones where few came or went since."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_solve

from pc_crvae.evaluation.probe.sample_products import SampleProducts

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

_CHANGED = 0.2  # of the active samples: costs of a new factor and of a correction meet there
_MOST_KEPT = 60_000_000  # numbers in factors that are kept, 240 MB in single precision
_MAX_RAISES = 4


@dataclass(frozen=True)
class _Factor:
    """The Cholesky factor (m, m) for samples (m,), ascending, at one penalty."""

    rows: Rows
    c: float
    lower: Floats


class SampleFactors:
    """Solves (I + 2 C AA') z = b for the active samples A of each class.

    From one Newton step to the next few samples come or go. The system that lacks those gone and
    has those come is then solved by the factor of the earlier one and a system as large as the
    change (a Schur complement), which gives the same as a new factor up to rounding.
    """

    def __init__(self, products: SampleProducts) -> None:
        self.products = products
        self._kept: dict[int, _Factor] = {}

    def solve(self, k: int, active: Flags, c: float, target: Floats) -> Floats:
        """Return z (m,) for the m active samples (n,) of class k, and b (m,)."""
        rows = np.flatnonzero(active)
        kept = self._kept.get(k)
        if kept is not None and kept.c == c:
            changed = len(np.setxor1d(rows, kept.rows, assume_unique=True))
            if changed <= _CHANGED * len(rows):
                solved = self._corrected(kept, rows, target)
                if np.all(np.isfinite(solved)):
                    return solved
        lower, _ = factor(self.products.among(rows, rows), c)
        self._keep(k, _Factor(rows, c, lower))
        new: Floats = cho_solve((lower, True), target, check_finite=False)
        return new

    def _keep(self, k: int, made: _Factor) -> None:
        self._kept.pop(k, None)
        if sum(each.lower.size for each in self._kept.values()) + made.lower.size <= _MOST_KEPT:
            self._kept[k] = made

    def _corrected(self, kept: _Factor, rows: Rows, target: Floats) -> Floats:
        """Solve for ``rows`` by the factor of others.

        Of the kept samples and those that came, z is held at 0 where a sample went: a multiplier
        stands for each of these.
        """
        stays = np.isin(rows, kept.rows, assume_unique=True)
        came = rows[~stays]
        gone = np.flatnonzero(np.isin(kept.rows, rows, assume_unique=True, invert=True))
        stayed = np.isin(kept.rows, rows, assume_unique=True)
        dtype, change = target.dtype, len(came) + len(gone)
        right = np.zeros((len(kept.rows), change + 1), dtype, order="F")
        right[stayed, -1] = target[stays]
        right[:, : len(came)] = 2 * kept.c * self.products.among(kept.rows, came)
        right[gone, len(came) + np.arange(len(gone))] = 1
        half = _forward(kept.lower, right)  # (kept, change + 1)
        border = np.zeros((change, change))
        border[: len(came), : len(came)] = 2 * kept.c * self.products.among(came, came)
        border[np.arange(len(came)), np.arange(len(came))] += 1
        wanted = np.concatenate([target[~stays], np.zeros(len(gone), dtype)])
        crossed = half[:, :-1].T @ half
        outer = _solve(border - crossed[:, :-1], wanted - crossed[:, -1]).astype(dtype)
        inner = _backward(kept.lower, half[:, -1] - half[:, :-1] @ outer)
        solved = np.empty(len(rows), dtype)
        solved[stays], solved[~stays] = inner[stayed], outer[: len(came)]
        return solved


def factor(gram: Floats, c: float) -> tuple[Floats, bool]:
    """Cholesky factor of I + 2 C X'X, the identity raised where that sum's rounding asks for it."""
    hessian = gram * gram.dtype.type(2 * c)
    rounding = 10 * np.finfo(gram.dtype).eps * np.trace(hessian)
    diagonal = np.einsum("ii->i", hessian)
    diagonal += 1
    for _ in range(_MAX_RAISES):
        # NumPy's takes three times as long, and SciPy's lets no other thread run.
        lower, failed = torch.linalg.cholesky_ex(torch.from_numpy(hessian))
        if not failed:
            return lower.numpy(), True
        diagonal += rounding  # some samples are so large that the rest is rounding
        rounding *= 10
    return np.diag(np.sqrt(diagonal)), True


def _solve(matrix: Floats, right: Floats) -> Floats:
    """The solution (s,), or NaN where the matrix (s, s) is singular."""
    try:
        solved: Floats = np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)
    return solved


def _forward(lower: Floats, right: Floats) -> Floats:
    """L^-1 right (m, s)."""
    solved: Floats = torch.linalg.solve_triangular(
        torch.from_numpy(lower), torch.from_numpy(right), upper=False
    ).numpy()
    return solved


def _backward(lower: Floats, right: Floats) -> Floats:
    """L'^-1 right (m,)."""
    solved: Floats = torch.linalg.solve_triangular(
        torch.from_numpy(lower).T, torch.from_numpy(right)[:, None], upper=True
    ).numpy()
    return solved[:, 0]
