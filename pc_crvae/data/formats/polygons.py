"""Faces of any number of corners, cut into triangles."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.bounds import bounds

Polygons = list[NDArray[np.int64]]
"""Faces by their number of corners K, fewest first: (F, K) indices of vertices each."""

MOST_CONCAVE_CORNERS = 20_000
"""Of a face that is not cut into a fan, which takes time by their square."""

_FLAT = 1e-12
"""Area that counts as none, of a face of size 1."""

_BACKWARDS = 1e-9
"""How much of a face its fan's triangles may face backwards, as rounding makes them."""

_OVERLAP = 1e-6
"""How much more area than their face triangles may have, as rounding makes them."""

_FACES_AT_ONCE = 1 << 16


def grouped(faces: Iterable[Sequence[int]]) -> Polygons:
    """Put faces of one number of corners together.

    Raises:
        ValueError, OverflowError: a corner is no whole number of 64 bits.
    """
    by_corners: defaultdict[int, list[Sequence[int]]] = defaultdict(list)
    for face in faces:
        by_corners[len(face)].append(face)
    return [np.array(alike, dtype=np.int64) for _, alike in sorted(by_corners.items())]


def triangulate(
    polygons: Polygons, vertices: NDArray[np.float64]
) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Cut faces into triangles.

    A face is cut into a fan from its first corner where that is right, as it is of every convex
    one; else by clipping ears, in the plane of its area vector (Newell's normal).

    Args:
        polygons: faces whose corners are rows of ``vertices``; those of fewer than three have no
            surface.
        vertices: (V, 3), finite.

    Returns:
        Triangles (T, 3), K - 2 of a face of K corners, and how many ``degenerate faces`` (of fewer
        than three corners) and ``self-crossing faces`` there are. The latter have no one surface.

    Raises:
        ValueError: a face that is not convex has too many corners.
    """
    triangles = [np.empty((0, 3), np.int64)]
    repairs = {"degenerate faces": 0, "self-crossing faces": 0}
    if any(faces.shape[1] > 3 for faces in polygons):
        low, high = bounds(vertices)
        size = (high - low).max()
        vertices = (vertices - low) / (size or 1.0)  # so that squares stay in range
    for faces in polygons:
        corners = faces.shape[1]
        if corners < 3:
            repairs["degenerate faces"] += len(faces)
        elif corners == 3:
            triangles.append(faces)
        else:
            at_once = max(1, _FACES_AT_ONCE // corners)
            for start in range(0, len(faces), at_once):  # bounds what is made of their corners
                cut, crossing = _cut(faces[start : start + at_once], vertices)
                triangles.append(cut)
                repairs["self-crossing faces"] += crossing
    return triangles[1] if len(triangles) == 2 else np.concatenate(triangles), repairs


def strip_triangles(corners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the triangles of a strip of corners (n,): (T, 3), all facing alike."""
    triangles = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
    triangles[1::2] = triangles[1::2, ::-1]  # every second one faces the other way
    return triangles


def _cut(faces: NDArray[np.int64], vertices: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """Cut faces of one number of corners (F, K): triangles (F (K - 2), 3), how many cross."""
    last = np.arange(2, faces.shape[1])
    triangles = faces[:, np.stack((np.zeros_like(last), last - 1, last), axis=1)]
    crossing = 0
    for row in np.flatnonzero(~_are_fans(vertices[faces])):
        corners = vertices[faces[row]] - vertices[faces[row, 0]]
        corners /= np.abs(corners).max() or 1.0  # so that tiny faces are as any
        parts = np.cross(corners[1:-1], corners[2:]) / 2
        normal = parts.sum(axis=0)
        area = np.linalg.norm(normal)
        if area <= _FLAT:  # as a bow tie has, all told
            crossing += bool(np.abs(parts).max() > _FLAT)
            continue
        plane = _projected(corners, normal / area)
        chosen = _clipped(plane)
        triangles[row] = faces[row][chosen]
        x, y = (plane[chosen[:, k]] - plane[chosen[:, 0]] for k in (1, 2))
        covered = np.abs(x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]).sum() / 2
        crossing += bool(covered > area * (1 + _OVERLAP) + _FLAT)
    return triangles.reshape(-1, 3), crossing


def _are_fans(corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the triangles of each face's fan (F, K, 3) all face as the face does: (F,)."""
    x, y, z = np.moveaxis(corners, 2, 0)
    x, y, z = x[:, 1:] - x[:, :1], y[:, 1:] - y[:, :1], z[:, 1:] - z[:, :1]
    # Twice the area vector of each triangle, whose sum is Newell's normal.
    parts = (
        y[:, :-1] * z[:, 1:] - z[:, :-1] * y[:, 1:],
        z[:, :-1] * x[:, 1:] - x[:, :-1] * z[:, 1:],
        x[:, :-1] * y[:, 1:] - y[:, :-1] * x[:, 1:],
    )
    along = sum(part * part.sum(axis=1, keepdims=True) for part in parts)
    squared = along.sum(axis=1)
    fans: NDArray[np.bool_] = (squared > 0) & (along.min(axis=1) >= -_BACKWARDS * squared)
    return fans


def _projected(corners: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the corners of a face in its plane: (K, 2)."""
    across = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(normal, across)], axis=1)
    plane: NDArray[np.float64] = corners @ axes
    return plane


def _clipped(plane: NDArray[np.float64]) -> NDArray[np.int64]:
    if len(plane) > MOST_CONCAVE_CORNERS:
        raise ValueError(
            f"a face that is not convex has {len(plane)} corners, more than the "
            f"{MOST_CONCAVE_CORNERS} that are read: cut it into smaller ones"
        )
    # Imported here because it brings a compiler, which few files need.
    from pc_crvae.data.formats.ear_clipping import clip_ears

    triangles: NDArray[np.int64] = clip_ears(plane, _FLAT)
    return triangles
