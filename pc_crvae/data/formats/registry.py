"""The table of formats of shapes: which file is read how, by its suffix.

A new format takes a file in this folder and a row here. What fixes no axis that points up, as STEP
does not, is z up unless a user says otherwise: so CAD has it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.cad import parse_iges, parse_step
from pc_crvae.data.formats.dae import parse_dae, up_axis
from pc_crvae.data.formats.gltf import external_files, parse_glb, parse_gltf
from pc_crvae.data.formats.npy import parse_npy_cloud, read_npz_cloud
from pc_crvae.data.formats.obj import parse_obj
from pc_crvae.data.formats.off import parse_off
from pc_crvae.data.formats.pcd import parse_pcd
from pc_crvae.data.formats.ply import has_faces, parse_ply, parse_ply_cloud
from pc_crvae.data.formats.polygons import Polygons
from pc_crvae.data.formats.stl import parse_stl
from pc_crvae.data.formats.text import parse_text
from pc_crvae.data.formats.threemf import parse_3mf
from pc_crvae.utils.up_axes import Axis


@dataclass(frozen=True)
class Format:
    """How the files of a suffix are read, from their path and content.

    Attributes:
        mesh: gives vertices (V, 3), of the type they are stored in, and faces, and raises what
            comes where a file is damaged; None where the format holds no meshes.
        cloud: gives points (N, 3 or more), of the type they are stored in, and raises a UserError
            where a file is damaged; None where the format holds no clouds.
        is_mesh: whether this content is a mesh, where the format holds both.
        beside: gives the other files that a file of this content is read with.
        up: the axis that points up by the format's own rules; None where it has none.
        up_in: gives the axis that a file of this content says points up, where the format has files
            say so.
        unit: the unit of the vertices; None where the format does not say.
    """

    mesh: Callable[[Path, bytes], tuple[NDArray[np.floating], Polygons]] | None = None
    cloud: Callable[[Path, bytes], NDArray[Any]] | None = None
    is_mesh: Callable[[bytes], bool] = lambda content: True
    up: Axis | None = None
    up_in: Callable[[bytes], Axis] | None = None
    unit: Literal["mm", "m"] | None = None
    beside: Callable[[Path, bytes], list[Path]] | None = None


FORMATS = {
    ".off": Format(mesh=lambda path, content: parse_off(content)),
    ".obj": Format(mesh=lambda path, content: parse_obj(content)),
    ".stl": Format(mesh=lambda path, content: parse_stl(content)),
    ".glb": Format(mesh=parse_glb, up="y", unit="m"),
    ".gltf": Format(mesh=parse_gltf, up="y", unit="m", beside=external_files),
    ".ply": Format(
        mesh=lambda path, content: parse_ply(content), cloud=parse_ply_cloud, is_mesh=has_faces
    ),
    **dict.fromkeys((".step", ".stp"), Format(mesh=parse_step, unit="mm")),
    **dict.fromkeys((".iges", ".igs"), Format(mesh=parse_iges, unit="mm")),
    ".3mf": Format(mesh=parse_3mf, up="z", unit="mm"),
    ".dae": Format(mesh=lambda path, content: parse_dae(content), up_in=up_axis, unit="m"),
    ".pcd": Format(cloud=parse_pcd),
    **dict.fromkeys((".xyz", ".txt", ".csv", ".pts"), Format(cloud=parse_text)),
    ".npy": Format(cloud=parse_npy_cloud),
    ".npz": Format(cloud=lambda path, content: read_npz_cloud(path)),
}
"""Each format by its suffix, in lower case."""

_HEAD = 2**16
"""Bytes of a file, at its start, in which it says which axis points up."""

MESH_SUFFIXES = tuple(suffix for suffix, format in FORMATS.items() if format.mesh)
CLOUD_SUFFIXES = tuple(suffix for suffix, format in FORMATS.items() if format.cloud)


def format_of(path: Path) -> Format:
    """Return how a file is read, by its suffix in any case; of another, neither way."""
    return FORMATS.get(path.suffix.lower(), Format())


def files_read_with(path: Path) -> list[Path]:
    """Return the other files that are read with one, whether they are there or not."""
    beside = format_of(path).beside
    if beside is None or not path.is_file():
        return []
    try:
        return beside(path, path.read_bytes())
    except OSError:
        return []  # which whoever reads it tells


def up_of_format(path: Path) -> Axis | None:
    """Return the axis that points up in a file by its format's rules, or by what the file says."""
    format = format_of(path)
    if format.up_in is None or not path.is_file():
        return format.up
    try:
        with path.open("rb") as file:
            return format.up_in(file.read(_HEAD))
    except OSError:
        return None  # which whoever reads it tells
