"""Parts of a scene, each put where the scene places it, within a bound."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.polygons import Polygons

MOST_TRIANGLES = 50_000_000
MOST_PARTS = 200_000
"""A small file may place parts that place parts, and so on."""

Matrix = NDArray[np.float64]
"""A place, (4, 4): it takes columns (x, y, z, 1) of a part to those of what it is placed in."""


@dataclass(eq=False)
class PlacedParts:
    """What was placed so far."""

    _vertices: list[NDArray[np.float64]] = field(default_factory=lambda: [np.empty((0, 3))])
    _faces: dict[int, list[NDArray[np.int64]]] = field(default_factory=lambda: defaultdict(list))
    _vertex_count: int = 0
    _triangle_count: int = 0
    _part_count: int = 0

    def count_part(self) -> None:
        """Count what places others, or itself.

        Raises:
            ValueError: there are too many.
        """
        self._part_count += 1
        if self._part_count > MOST_PARTS:
            raise ValueError(f"its scene places more than {MOST_PARTS} parts")

    def add(self, vertices: NDArray[np.float64], polygons: Polygons, place: Matrix) -> None:
        """Place a part.

        Args:
            vertices: (V, 3).
            polygons: its faces.
            place: the transform that puts it in place; a mirror turns faces, so that they keep
                their outside.

        Raises:
            ValueError: there are too many triangles, a face names a vertex that is not there, or
                the place is not finite.
        """
        self._triangle_count += sum(len(faces) * max(faces.shape[1] - 2, 0) for faces in polygons)
        if self._triangle_count > MOST_TRIANGLES:
            raise ValueError(f"its scene places more than {MOST_TRIANGLES} triangles")
        if not np.isfinite(place).all():
            raise ValueError("it places a part by numbers that are not finite")
        is_mirror = np.linalg.det(place[:3, :3]) < 0
        for faces in polygons:
            if np.any((faces < 0) | (faces >= len(vertices))):
                raise ValueError("a face names a vertex that is not there")
            turned = faces[:, ::-1] if is_mirror else faces
            self._faces[faces.shape[1]].append(turned + self._vertex_count)
        # What is not finite stays so, and is refused or left out with the whole surface's.
        with np.errstate(invalid="ignore", over="ignore"):
            self._vertices.append(vertices @ place[:3, :3].T + place[:3, 3])
        self._vertex_count += len(vertices)

    def whole(self) -> tuple[NDArray[np.float64], Polygons]:
        """Return the vertices (V, 3) and faces of all parts."""
        polygons = [np.concatenate(faces) for _, faces in sorted(self._faces.items())]
        return np.concatenate(self._vertices), polygons
