"""Surfaces of mesh files, and points drawn from them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.bounds import bounds
from pc_crvae.data.formats.polygons import Polygons, triangulate
from pc_crvae.data.formats.precision import check_steps
from pc_crvae.data.formats.registry import MESH_SUFFIXES, format_of
from pc_crvae.data.items import Sample
from pc_crvae.data.lengths import lengths
from pc_crvae.data.surface_sampling import face_vectors, sample_faces
from pc_crvae.errors import UserError, reason_of, told
from pc_crvae.utils.files import read_bytes

_LARGEST_FILE = 2**31
"""Bytes; a file is held in memory, several times over while it is parsed."""

_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What parsers raise on damaged files; which one depends on the byte that is damaged."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh of some area, in the frame and scale of its file.

    Attributes:
        corners: (C, 3) float64, finite: the vertices of the file that its faces use.
        triangles: (F, 3) int64, indices into ``corners``; every triangle has some area.
        noted: what `repairs` says but for duplicates.
    """

    corners: NDArray[np.float64]
    triangles: NDArray[np.int64]
    noted: dict[str, int]

    @property
    def vertices(self) -> NDArray[np.float64]:
        """The different ``corners`` (V, 3) float64, sorted."""
        return self._merged[0]

    @cached_property
    def faces(self) -> NDArray[np.int64]:
        """The ``triangles`` (F, 3) int64 as indices into `vertices`."""
        return np.take(self._merged[1], self.triangles)

    @property
    def repairs(self) -> dict[str, int]:
        """What was repaired, and how often; only counts above 0 are listed.

        How many ``degenerate faces`` were left out and ``duplicate vertices`` merged, neither of
        which changes the surface, and how many ``self-crossing faces`` there are, which have no one
        surface.
        """
        duplicates = len(self.corners) - len(self.vertices)
        return self.noted | ({"duplicate vertices": duplicates} if duplicates else {})

    @cached_property
    def _merged(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        return _merge(self.corners)  # when it is asked for: points are drawn without it


def read_surface(path: Path, content: bytes | None = None) -> Surface:
    """Read a mesh, or a scene with its parts put in place.

    The formats are those of :data:`~pc_crvae.data.formats.registry.FORMATS` that hold meshes.
    Materials and textures are never loaded.

    Args:
        path: the file.
        content: what the file holds, for whoever has read it; None to read it.

    Raises:
        UserError: the file is missing, of another kind or damaged, or has no surface; the
            sentence names the file and the defect.
    """
    parse = format_of(path).mesh
    if parse is None:
        raise UserError(
            f"{path} is no mesh that is read here: the suffixes are "
            f"{', '.join(sorted(MESH_SUFFIXES))}"
        )
    if content is None or len(content) > _LARGEST_FILE:
        content = read_bytes(path, _LARGEST_FILE)  # which refuses what is larger
    try:
        vertices, polygons = parse(path, content)
    except UserError:
        raise
    except _DAMAGE as error:
        raise UserError(
            f"{path} is damaged or no {path.suffix.lower()} file ({reason_of(error)}): "
            "repair it or leave it out"
        ) from error
    return _checked(path, vertices, polygons)


def load_points(path: Path, count: int, rng: np.random.Generator) -> Sample:
    """Draw points from the surface of a mesh file, uniformly by area.

    The normals are those of the faces that the points lie on.

    Args:
        path: the file.
        count: points P.
        rng: the generator that draws them.

    Raises:
        UserError: as :func:`read_surface`.
    """
    surface = read_surface(path)
    return Sample(*draw(surface, count, rng), surface.repairs)


def draw(
    surface: Surface, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw points (count, 3) and their normals from a surface, as :func:`load_points` does."""
    unit, low, size = _to_unit(surface.corners)
    triangles = np.take(unit, surface.triangles, axis=0)
    vectors = face_vectors(triangles)
    doubled = lengths(vectors)
    points, chosen = sample_faces(triangles, doubled / 2, count, rng)
    normals = np.take(vectors, chosen, axis=0) / doubled[chosen, None]
    return points * size + low, normals


def _checked(path: Path, stored: NDArray[np.floating], polygons: Polygons) -> Surface:
    if not any(len(faces) for faces in polygons if faces.shape[1] > 2):
        kind = ": as a cloud, it goes with the card cloud-folder" if format_of(path).cloud else ""
        raise UserError(f"{path} has no faces, so it has no surface to draw points from{kind}")
    for faces in polygons:
        outside = (faces < 0) | (faces >= len(stored))
        if faces.shape[1] > 2 and outside.any():
            raise UserError(
                f"{path} has a face that names the vertex {faces[outside][0]} (counted from 0) of "
                f"{len(stored)}: it is damaged"
            )
    if not np.isfinite(stored).all():
        row = int(np.argmin(np.isfinite(stored).all(axis=1)))
        raise UserError(f"{path} has a NaN or infinite coordinate in vertex {row} (from 0)")
    stored, polygons = _only_used(stored, polygons)
    vertices = stored.astype(np.float64)
    with np.errstate(over="ignore"):
        low, high = bounds(vertices)
        sides = high - low
        if not np.isfinite(sides).all():
            raise UserError(f"{path} has coordinates too large to reckon with")
    check_steps(path, sides.max(), max(high.max(), -low.min()), stored.dtype)
    with told(f"{path} cannot be read", ValueError):
        faces, noted = triangulate(polygons, vertices)
    solid = lengths(face_vectors(np.take(_to_unit(vertices)[0], faces, axis=0))) > 0
    if not solid.any():
        raise UserError(f"{path} has a surface of no area: all its faces are degenerate")
    noted["degenerate faces"] += int(np.count_nonzero(~solid))
    return Surface(vertices, faces[solid], {name: n for name, n in noted.items() if n})


def _only_used(
    vertices: NDArray[np.floating], polygons: Polygons
) -> tuple[NDArray[np.floating], Polygons]:
    used = np.zeros(len(vertices), dtype=bool)
    for faces in polygons:
        if faces.shape[1] > 2:
            used[faces] = True
    if used.all():
        return vertices, polygons
    place = np.cumsum(used) - 1
    return vertices[used], [place[faces] if faces.shape[1] > 2 else faces for faces in polygons]


def _merge(vertices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the different vertices, sorted, and where each given one is among them."""
    keys = _keys(vertices)
    order = np.argsort(keys)
    ordered = keys[order]
    new = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    first = np.minimum.reduceat(order, np.flatnonzero(new))  # of 0 and -0 the first stays
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.cumsum(new) - 1
    if not np.array_equal(np.take(vertices, first[group], axis=0), vertices):
        # Different ones have the same key.
        _, first, group = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
        group = group.reshape(-1)  # NumPy 2.0 gives it a shape of two
    different = np.take(vertices, first, axis=0)
    ranked = np.lexsort(different.T)
    rank = np.empty(len(ranked), dtype=np.int64)
    rank[ranked] = np.arange(len(ranked))
    return np.take(different, ranked, axis=0), np.take(rank, group)


_MIXERS = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9], np.uint64)
"""Odd numbers whose bits are as good as random."""


def _keys(vertices: NDArray[np.float64]) -> NDArray[np.uint64]:
    """One number a vertex (V,), equal for equal ones: sorted in a tenth of the time of three."""
    bits = (vertices + 0.0).view(np.uint64)  # -0 becomes 0
    keys = np.zeros(len(bits), np.uint64)
    for axis, mixer in enumerate(_MIXERS):
        keys = (keys + bits[:, axis]) * mixer
        keys ^= keys >> np.uint64(32)
    return keys


def _to_unit(
    vertices: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], np.float64]:
    """Move and scale to [0, 1], so that areas of tiny and huge shapes stay in range."""
    low, high = bounds(vertices)
    size = (high - low).max()
    return (vertices - low) / (size or 1.0), low, size
