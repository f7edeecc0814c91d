"""Surfaces of mesh files, and points drawn from them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.bounds import bounds
from pc_crvae.data.formats.polygons import Polygons, triangulate
from pc_crvae.data.formats.precision import check_steps
from pc_crvae.data.formats.registry import MESH_SUFFIXES, format_of
from pc_crvae.data.items import Sample
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
        vertices: (V, 3) float64, finite, no two the same, each used by a face of the file.
        faces: (F, 3) int64, indices into ``vertices``; every face has some area.
        repairs: how many ``degenerate faces`` were left out and ``duplicate vertices`` merged,
            neither of which changes the surface, and how many ``self-crossing faces`` there are,
            which have no one surface. Only counts above 0 are listed.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    repairs: dict[str, int]


def read_surface(path: Path) -> Surface:
    """Read a mesh, or a scene with its parts put in place.

    The formats are those of :data:`~pc_crvae.data.formats.registry.FORMATS` that hold meshes.
    Materials and textures are never loaded.

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
    data = read_bytes(path, _LARGEST_FILE)
    try:
        vertices, polygons = parse(path, data)
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
    return sample_of(read_surface(path), count, rng)


def sample_of(surface: Surface, count: int, rng: np.random.Generator) -> Sample:
    """Draw points from a surface as :func:`load_points` does from that of a file."""
    unit, low, size = _to_unit(surface.vertices)
    triangles = unit[surface.faces]
    vectors = face_vectors(triangles)
    lengths = np.linalg.norm(vectors, axis=1)
    points, chosen = sample_faces(triangles, lengths / 2, count, rng)
    normals = vectors[chosen] / lengths[chosen, None]
    return Sample(points * size + low, normals, surface.repairs)


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
        faces, repairs = triangulate(polygons, vertices)
    merged, place = _merge(vertices)
    faces = place[faces]
    solid = np.linalg.norm(face_vectors(_to_unit(merged)[0][faces]), axis=1) > 0
    if not solid.any():
        raise UserError(f"{path} has a surface of no area: all its faces are degenerate")
    repairs["degenerate faces"] += int(np.count_nonzero(~solid))
    repairs["duplicate vertices"] = len(vertices) - len(merged)
    return Surface(merged, faces[solid], {name: n for name, n in repairs.items() if n})


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
    order = np.lexsort(vertices.T)
    ordered = vertices[order]
    first = np.ones(len(ordered), dtype=bool)
    np.any(ordered[1:] != ordered[:-1], axis=1, out=first[1:])
    place = np.empty(len(ordered), dtype=np.int64)
    place[order] = np.cumsum(first) - 1
    return ordered[first], place


def _to_unit(
    vertices: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], np.float64]:
    """Move and scale to [0, 1], so that areas of tiny and huge shapes stay in range."""
    low, high = bounds(vertices)
    size = (high - low).max()
    return (vertices - low) / (size or 1.0), low, size
