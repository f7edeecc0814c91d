"""What is kept of a shape once its file is closed: its measures and a few points, no mesh."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.moments import (
    Moments,
    moments_of_cloud,
    moments_of_mesh,
    moments_of_values,
    size_of,
    values_of_moments,
)
from pc_crvae.data.clouds import turn_z_up
from pc_crvae.data.facing import up_of_file
from pc_crvae.data.formats.registry import files_read_with
from pc_crvae.data.readers.shape_files import ShapeContent, drawn, read_shape
from pc_crvae.data.surface_sampling import Mesh, sample_surface
from pc_crvae.errors import UserError
from pc_crvae.utils.workers import Answer, Found

KEPT_POINTS = 512
"""Of each shape, for its picture and for the first look of comparisons: 6 kB."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A shape's measures, in the units of its file, upright.

    Attributes:
        digest: SHA-256, in hex, of the file and of those that it is read with.
        kind: mesh or cloud.
        vertices: the number of a mesh's vertices, or of a cloud's points.
        triangles: the number of a mesh's triangles; 0 of a cloud.
        box: (3,) the sides of the bounding box along x, y and z.
        volume: the volume that a mesh without holes encloses; None for others.
        moments: the first integrals, with the surface's area.
        points: (P, 3) float32 drawn of it, the centroid at 0 and the mean square distance from it
            of the whole 1.
    """

    digest: str
    kind: Literal["mesh", "cloud"]
    vertices: int
    triangles: int
    box: tuple[float, float, float]
    volume: float | None
    moments: Moments
    points: NDArray[np.float32]

    @property
    def area(self) -> float | None:
        """Of a mesh's surface; None of a cloud."""
        return self.moments.area if self.kind == "mesh" else None


def measure(content: ShapeContent, up: str | None) -> Shape:
    """Measure a shape that has been read.

    Args:
        content: the content of its file.
        up: the axis that points up, as ``embed`` takes it.

    Raises:
        UserError: it has no size to reckon with.
    """
    axis = up_of_file(content.path, up)
    rng = np.random.default_rng(0)
    volume, triangles = None, 0
    if content.surface is not None:
        vertices = turn_z_up(content.surface.vertices, axis)
        faces = content.surface.faces
        mesh = vertices[faces]
        triangles = len(faces)
        moments = moments_of_mesh(mesh)
        points = sample_surface(mesh, KEPT_POINTS, rng)
        volume = _volume(mesh) if _is_closed(faces) else None
    else:
        assert content.points is not None
        vertices = turn_z_up(np.asarray(content.points, dtype=np.float64), axis)
        moments = moments_of_cloud(vertices)
        points = vertices[rng.permutation(len(vertices))[:KEPT_POINTS]]
    size = size_of(moments)
    if not (np.isfinite(size) and size > 0):
        raise UserError(f"{content.path} is too small or too large to be measured")
    x, y, z = np.ptp(vertices, axis=0).tolist()
    return Shape(
        digest=digest_of(content.path, content.sha256),
        kind="cloud" if content.surface is None else "mesh",
        vertices=len(vertices),
        triangles=triangles,
        box=(x, y, z),
        volume=volume,
        moments=moments,
        points=((points - moments.center) / size).astype(np.float32),
    )


def values_of(shape: Shape) -> dict[str, Any]:
    """Return what a shape is as plain values, all but its points."""
    values = {name: value for name, value in vars(shape).items() if name != "points"}
    return values | {"moments": values_of_moments(shape.moments)}


def shape_of(values: dict[str, Any], points: NDArray[np.float32]) -> Shape:
    """Return the shape of what :func:`values_of` gave, and its points, in any arrangement."""
    box, moments = tuple(values["box"]), moments_of_values(values["moments"])
    return Shape(**values | {"box": box, "moments": moments, "points": points.reshape(-1, 3)})


def prepare_measuring(setup: Any) -> Answer:
    """Return what measures the shape of a file, and draws points of it for a model.

    The values it gives are those of the shape, and how many points of a cloud were left out, where
    any were.

    Args:
        setup: the axis that points up, the count of points drawn, None for none, and whether
            points of clouds that are NaN or infinite are left out.
    """
    up, count, drop_nan = setup

    def read(path: str) -> Found:
        left_out: list[int] = []
        content = read_shape(Path(path), left_out.append if drop_nan else None)
        cloud = {} if count is None else {"cloud": drawn(content, count, up)}
        shape = measure(content, up)
        values = {"shape": values_of(shape), "left_out": left_out}
        return values, {"points": shape.points} | cloud

    return read


def digest_of(path: Path, own: bytes) -> str:
    """Return, in hex, what fixes the content of a shape: its file and those that it is read with.

    Args:
        path: the file.
        own: the SHA-256 of its bytes.
    """
    beside = files_read_with(path)
    if not beside:
        return own.hex()
    whole = hashlib.sha256(own)
    for other in beside:
        whole.update(other.read_bytes() if other.is_file() else b"")
    return whole.hexdigest()


def _is_closed(faces: NDArray[np.int64]) -> bool:
    """Whether each edge has one face on either side, and all faces agree which side is outside."""
    starts, ends = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    count = int(faces.max()) + 1
    there, back = np.sort(starts * count + ends), np.sort(ends * count + starts)
    return bool((there[1:] != there[:-1]).all() and (there == back).all())


def _volume(mesh: Mesh) -> float:
    near = mesh - mesh.mean(axis=(0, 1))
    signed = np.einsum("ti,ti->", near[:, 0], np.cross(near[:, 1], near[:, 2])) / 6
    return abs(float(signed))
