"""Shapes of one's own: mesh and cloud files of any kind that is read, made ready for a model.

A shape is what its file holds, not where it lies: what is drawn of it is fixed by the bytes of the
file, so that the same file gives the same points, under whatever name.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import Axis
from pc_crvae.data.clouds import normalize, turn_z_up
from pc_crvae.data.formats import cloud_files, meshes
from pc_crvae.data.formats.registry import FORMATS, format_of
from pc_crvae.data.readers.class_tree import ids_of
from pc_crvae.errors import UserError
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


def find_shape_files(places: Sequence[Path]) -> list[ShapeFile]:
    """Find the shapes that folders hold, at any depth, and files given by name.

    Of a folder, files of supported suffixes are taken, in order of their paths; hidden files and
    folders are left out, and links to folders are not followed. A file met twice is taken once.

    Args:
        places: files and folders. Ids are those of :func:`ids_of`, as they are in a set of the same
            folder: of a file's path within its folder, or its name, and where two of them would be
            equal, of the paths as given.

    Raises:
        UserError: a place is missing or a folder cannot be read, a name is not UTF-8, or nothing
            is found.
    """
    found: dict[str, tuple[Path, str]] = {}
    for place in places:
        if not place.exists():
            raise UserError(f"{gone(place)}: name files and folders that are there")
        for path in _files_in(place) if place.is_dir() else [place]:
            short = path.relative_to(place).as_posix() if place.is_dir() else path.name
            _check_name(path)
            found.setdefault(os.path.realpath(path), (path, short))
    if not found:
        raise UserError(
            f"{', '.join(map(str, places))} holds no shape: the suffixes read are "
            f"{', '.join(sorted(FORMATS))}"
        )
    paths, names = zip(*found.values(), strict=True)
    if len(set(names)) < len(names):
        names = tuple(path.as_posix() for path in paths)
    return [
        ShapeFile(path.absolute(), name) for path, name in zip(paths, ids_of(names), strict=True)
    ]


def load_shape(path: Path, count: int, up: Axis) -> NDArray[np.float32]:
    """Read a shape as a model reads those it was trained on.

    The surface of a mesh is sampled by area; of a cloud points are chosen without replacement.
    A PLY file is a mesh where it has faces, else a cloud.

    Args:
        path: a mesh or cloud file.
        count: points wanted; a cloud that has fewer is taken as it is.
        up: the axis that points up in the file.

    Returns:
        Points (at most ``count``, 3), z up, of a shape with mean 0 and largest radius 1.

    Raises:
        UserError: the file cannot be used; the sentence names it and says why.
    """
    format = format_of(path)
    content = read_bytes(path, cloud_files.LARGEST_FILE)
    rng = np.random.default_rng(list(hashlib.sha256(content).digest()))
    if format.mesh is not None and format.is_mesh(content):
        points = meshes.load_points(path, max(count, _SURFACE_POINTS), rng).points
    elif format.cloud is not None:
        points = cloud_files.read_cloud(path)
    else:
        raise UserError(
            f"{path} is no shape by its name, which should end in {', '.join(sorted(FORMATS))}"
        )
    chosen = rng.choice(len(points), min(count, len(points)), replace=False)
    try:
        whole = normalize(turn_z_up(points[None], up))[0]
    except ValueError as error:
        raise UserError(f"{path} cannot be scaled: {error}") from error
    shape: NDArray[np.float32] = whole[chosen]
    return shape


def _files_in(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise UserError(f"the folder {error.filename} cannot be read: {error.strerror}") from error

    files = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(place, name) for name in names if not name.startswith(".")]
        files += [path for path in paths if path.suffix.lower() in FORMATS]
    return sorted(files)


def _check_name(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{str(path)!r} has a name that is not UTF-8: rename it") from error
