"""Shapes of one's own: mesh and cloud files of any kind that is read, made ready for a model.

A shape is what its file holds, not where it lies: what is drawn of it is fixed by the bytes of the
file, so that the same file gives the same points, under whatever name.
"""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.clouds import normalized_rows, turn_z_up
from pc_crvae.data.facing import up_of_file
from pc_crvae.data.formats import cloud_files, meshes
from pc_crvae.data.formats.registry import FORMATS, format_of
from pc_crvae.data.readers.class_tree import ids_of
from pc_crvae.data.readers.tree_walk import TEXT_SUFFIXES, FoundFile, check_name, walk
from pc_crvae.errors import UserError, told
from pc_crvae.utils.files import gone, read_bytes

_SURFACE_POINTS = 4096
"""Drawn of a mesh, so that its centre and size are the surface's and hardly the draw's."""


@dataclass(frozen=True)
class ShapeFile:
    """A file that may hold a shape.

    Attributes:
        path: absolute, and where it is a link, that of the link.
        id: unique among the files found with it.
    """

    path: Path
    id: str


@dataclass(frozen=True)
class FoundShapes:
    """The files that may hold shapes, and what was passed over, by the reason."""

    files: list[ShapeFile]
    passed_over: Mapping[str, tuple[Path, ...]]


def find_shape_files(places: Sequence[Path]) -> list[ShapeFile]:
    """Find the shapes that folders hold, at any depth, and files given by name: `find_shapes`."""
    return find_shapes(places).files


def find_shapes(places: Sequence[Path]) -> FoundShapes:
    """Find the shapes that folders hold, at any depth, and files given by name.

    Of a folder, files of supported suffixes are taken, in order of their paths, as
    :func:`~pc_crvae.data.readers.tree_walk.walk` finds them, so that a set of the same folder has
    the same. Tables (``.txt``, ``.csv``) that lie beside meshes or above them are no shapes, unless
    they are named. A file met twice is taken once.

    Args:
        places: files and folders. Ids are those of :func:`ids_of`, as they are in a set of the same
            folder: of a file's path within its folder, or its name, and where two of them would be
            equal, of the paths as given.

    Raises:
        UserError: a place is missing or a folder cannot be read, a name is not plain text, or
            nothing is found.
    """
    found: dict[str, tuple[Path, str]] = {}
    passed_over: defaultdict[str, list[Path]] = defaultdict(list)
    for place in places:
        if not place.exists():
            raise UserError(f"{gone(place)}: name files and folders that are there")
        if place.is_dir():
            walked = walk(place, FORMATS)
            files, tables = _without_tables(walked.files)
            walked.passed_over["a table beside meshes"] = tuple(tables)
            for reason, paths in walked.passed_over.items():
                passed_over[reason] += paths
        else:
            check_name(place)
            files = [FoundFile(place, (place.name,))]
        for file in files:
            found.setdefault(os.path.realpath(file.path), (file.path, "/".join(file.parts)))
    if not found:
        raise UserError(
            f"{', '.join(map(str, places))} holds no shape: the suffixes read are "
            f"{', '.join(sorted(FORMATS))}"
        )
    paths, names = zip(*found.values(), strict=True)
    if len(set(names)) < len(names):
        names = tuple(path.as_posix() for path in paths)
    named = zip(paths, ids_of(names), strict=True)
    shapes = [ShapeFile(path.absolute(), name) for path, name in named]
    return FoundShapes(shapes, {why: tuple(paths) for why, paths in passed_over.items() if paths})


def _without_tables(files: Sequence[FoundFile]) -> tuple[list[FoundFile], list[Path]]:
    """Leave out tables in folders that hold meshes, at any depth."""
    of_meshes = [file.parts for file in files if format_of(file.path).mesh is not None]
    with_meshes = {parts[:depth] for parts in of_meshes for depth in range(len(parts))}
    texts = [file for file in files if file.path.suffix.lower() in TEXT_SUFFIXES]
    tables = {file for file in texts if file.parts[:-1] in with_meshes}
    return [file for file in files if file not in tables], sorted(file.path for file in tables)


@dataclass(frozen=True, eq=False)
class ShapeContent:
    """What the file of a shape holds, in the frame and scale of the file.

    Attributes:
        path: the file.
        sha256: the digest of its bytes, which fixes what is drawn of the shape.
        surface: the surface of a mesh; None of a cloud.
        points: (N, 3) of a cloud; None of a mesh.
    """

    path: Path
    sha256: bytes
    surface: meshes.Surface | None
    points: NDArray[np.floating] | None


def read_shape(path: Path, unmeasured: Callable[[int], None] | None = None) -> ShapeContent:
    """Read what a mesh or cloud file holds. A PLY file is a mesh where it has faces, else a cloud.

    Args:
        path: the file.
        unmeasured: passed to :func:`load_shape`.

    Raises:
        UserError: as :func:`load_shape`.
    """
    format = format_of(path)
    content = read_bytes(path, cloud_files.LARGEST_FILE)
    digest = hashlib.sha256(content).digest()
    if format.mesh is not None and format.is_mesh(content):
        return ShapeContent(path, digest, meshes.read_surface(path, content), None)
    if format.cloud is not None:
        return ShapeContent(path, digest, None, cloud_files.read_cloud(path, unmeasured, content))
    raise UserError(
        f"{path} is no shape by its name, which should end in {', '.join(sorted(FORMATS))}"
    )


def drawn(shape: ShapeContent, count: int, up: str | None = None) -> NDArray[np.float32]:
    """Draw the points of a shape that has been read; see :func:`load_shape`.

    Raises:
        UserError: it has no scale.
    """
    rng = np.random.default_rng(list(shape.sha256))
    points = shape.points
    if shape.surface is not None:
        points, _ = meshes.draw(shape.surface, max(count, _SURFACE_POINTS), rng)
    assert points is not None
    chosen = rng.choice(len(points), min(count, len(points)), replace=False)
    with told(f"{shape.path} cannot be scaled", ValueError):
        return normalized_rows(turn_z_up(points, up_of_file(shape.path, up)), chosen)


def load_shape(
    path: Path,
    count: int,
    up: str | None = None,
    *,
    unmeasured: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Read a shape as a model reads those it was trained on.

    The surface of a mesh is sampled by area; of a cloud points are chosen without replacement.
    A PLY file is a mesh where it has faces, else a cloud.

    Args:
        path: a mesh or cloud file.
        count: points wanted; a cloud that has fewer is taken as it is.
        up: what is said of the axis that points up, as :func:`up_of_file` takes it.
        unmeasured: the function that gets the number of points left out of a cloud because they
            are NaN or infinite; None: such a cloud is refused.

    Returns:
        Points (at most ``count``, 3), z up, of a shape with mean 0 and largest radius 1.

    Raises:
        UserError: the file cannot be used; the sentence names it and says why.
    """
    return drawn(read_shape(path, unmeasured), count, up)
