"""Shapes made ready for exact comparison: centred, of size 1, with what no movement changes."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pc_crvae.collection.closest import Closest, TriangleSearch, step_towards
from pc_crvae.collection.first_look import Outline
from pc_crvae.collection.moments import Moments, moments_of_cloud, moments_of_mesh, size_of
from pc_crvae.collection.poses import Pose
from pc_crvae.data.clouds import turn_z_up
from pc_crvae.data.facing import up_of_file
from pc_crvae.data.readers.shape_files import ShapeContent
from pc_crvae.data.surface_sampling import Mesh, sample_faces

_BY_AREA = 600
"""Points drawn of a surface for comparison."""

_OF_EACH = 300
"""Vertices, and centres of triangles, taken besides: details are where they are."""

_MOST_QUERIES = 2000
"""Points of a cloud that are looked up in another."""


class Body(ABC):
    """A shape in units of its own: its centroid at 0, the mean square distance from it 1.

    Attributes:
        moments: the shape's moments, in the units of the file.
        size: its own unit of length, in the units of the file.
        area: the area of the surface, in its own units; 0 of a cloud.
        samples: (S, 3) points of it that are compared.
        outline: the outline that is compared first.
        diameter: twice the distance of its farthest point from the centroid.
        floor: root mean square distance between two draws of the same cloud; 0 of a surface.
    """

    samples: NDArray[np.float64]
    outline: Outline
    diameter: float
    floor: float = 0.0

    def __init__(self, moments: Moments) -> None:
        self.moments = moments
        self.size = size_of(moments)
        self.area = moments.area / self.size**2

    @abstractmethod
    def closest(
        self, points: NDArray[np.float64], near: NDArray[np.int64] | None = None
    ) -> Closest:
        """Find what of the body is closest to points (n, 3).

        Args:
            points: (n, 3).
            near: (n,) parts that are likely to be near.
        """

    def descend(self, points: NDArray[np.float64], pose: Pose, steps: int) -> Pose:
        """Bring points (n, 3) nearer to the body than a pose lays them, in at most some steps."""
        near = None
        for _ in range(steps):
            laid = pose.apply(points)
            distances, places, near, normals = self.closest(laid, near)
            step, is_settled = step_towards(laid, distances, places, normals)
            pose = pose.moved(step)
            if is_settled:
                break
        return pose


class SurfaceBody(Body):
    """The surface of a mesh.

    Args:
        mesh: (T, 3, 3) triangles, upright.
        moments: of these, where they are known already.
    """

    def __init__(self, mesh: Mesh, moments: Moments | None = None) -> None:
        super().__init__(moments_of_mesh(mesh) if moments is None else moments)
        rng = np.random.default_rng(0)
        self._search = TriangleSearch((mesh - self.moments.center) / self.size)
        own = self._search.mesh
        drawn, _ = sample_faces(own, self._search.areas, 2 * _BY_AREA, rng)
        corners = own.reshape(-1, 3)
        parts = corners, own.mean(axis=1)
        some = [rng.choice(part, min(_OF_EACH, len(part)), replace=False) for part in parts]
        self.samples = np.concatenate([drawn[:_BY_AREA], *some])
        self.outline = Outline(self.moments, drawn)
        self.diameter = 2 * float(np.linalg.norm(corners, axis=1).max())

    def closest(
        self, points: NDArray[np.float64], near: NDArray[np.int64] | None = None
    ) -> Closest:
        """Find the closest points of the surface."""
        return self._search.closest(points, near)


class CloudBody(Body):
    """The points of a cloud.

    Args:
        points: (N, 3), upright.
    """

    def __init__(self, points: NDArray[np.float64]) -> None:
        super().__init__(moments_of_cloud(points))
        self._points = (points - self.moments.center) / self.size
        self._tree = cKDTree(self._points)
        order = np.random.default_rng(0).permutation(len(points))
        self.samples = self._points[order[:_MOST_QUERIES]]
        self.outline = Outline(self.moments, self.samples[: 2 * _BY_AREA])
        self.diameter = 2 * float(np.linalg.norm(self._points, axis=1).max())
        if len(points) > 1:
            # A point of another draw lies as far from this one's as one of these from the others.
            own = self._tree.query(self.samples, k=2)[0][:, 1]
            self.floor = float(np.sqrt(np.square(own).mean()))

    def closest(
        self, points: NDArray[np.float64], near: NDArray[np.int64] | None = None
    ) -> Closest:
        """Find the closest of the cloud's points."""
        distances, rows = self._tree.query(points)
        return Closest(distances, self._points[rows], rows, np.empty((0, 3)))


def body_of(shape: ShapeContent, up: str | None, moments: Moments | None = None) -> Body:
    """Make a shape that has been read ready for comparison, upright.

    Args:
        shape: the content of its file.
        up: what is said of the axis that points up.
        moments: of a mesh, where :func:`~.shapes.measure` has found them already.
    """
    axis = up_of_file(shape.path, up)
    if shape.surface is not None:
        mesh = turn_z_up(shape.surface.vertices, axis)[shape.surface.faces]
        return SurfaceBody(mesh, moments)
    assert shape.points is not None
    return CloudBody(turn_z_up(shape.points, axis))
