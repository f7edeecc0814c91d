"""Faces of any number of corners, cut into triangles."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def fan_triangles(faces: Iterable[Sequence[int]]) -> NDArray[np.int64]:
    """Cut each face into the triangles between its first corner and every edge: (T, 3).

    Right for convex faces; a face of fewer than three corners has no surface and gives none.

    Raises:
        ValueError, OverflowError: a corner is no whole number of 64 bits.
    """
    by_corners: defaultdict[int, list[Sequence[int]]] = defaultdict(list)
    for face in faces:
        by_corners[len(face)].append(face)
    triangles = [
        fan(np.array(alike, dtype=np.int64))
        for corners, alike in sorted(by_corners.items())
        if corners >= 3
    ]
    return np.concatenate(triangles) if triangles else np.empty((0, 3), np.int64)


def fan(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut faces of one number of corners (F, K) as :func:`fan_triangles` does: (F (K - 2), 3)."""
    last = np.arange(2, faces.shape[1])
    first = np.zeros_like(last)
    return faces[:, np.stack((first, last - 1, last), axis=1)].reshape(-1, 3)
