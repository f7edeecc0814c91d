"""3MF (3D Manufacturing Format, core specification 1.3): parts that are built, in millimetres.

Ours rather than trimesh's, whose reader unpacks whatever an archive holds, passes over parts that
are named and missing, and walks parts that hold parts without an end.
"""

import xml.etree.ElementTree as ET
import zipfile
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.placed_parts import MOST_TRIANGLES, Matrix, PlacedParts
from pc_crvae.data.formats.polygons import Polygons
from pc_crvae.data.formats.xml_text import MOST_DEPTH, Target, local, read_xml
from pc_crvae.utils.zip_members import open_zip, read_member

MOST_UNPACKED = 2**30
"""Bytes of all parts of an archive together; no more are unpacked."""

_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_MODEL_LINK = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"
_READ = (
    "http://schemas.microsoft.com/3dmanufacturing/material/",
    "http://schemas.microsoft.com/3dmanufacturing/production/",
    "http://schemas.microsoft.com/3dmanufacturing/trianglesets/",
)
"""What the names of extensions begin with that are read, or say nothing of where surfaces are."""

_MILLIMETRES = {
    "micron": 0.001,
    "millimeter": 1.0,
    "centimeter": 10.0,
    "inch": 25.4,
    "foot": 304.8,
    "meter": 1000.0,
}
_Key = tuple[str, str]
"""The part of the archive that an object stands in, and its id."""


@dataclass(eq=False)
class _Object:
    vertices: "array[float]" = field(default_factory=lambda: array("d"))
    triangles: "array[int]" = field(default_factory=lambda: array("q"))
    components: list[tuple[_Key, Matrix]] = field(default_factory=list)


def parse_3mf(path: Path, data: bytes) -> tuple[NDArray[np.float64], Polygons]:
    """Return vertices (V, 3), in millimetres, and triangles of what the file builds.

    Args:
        path: the file.
        data: its content; the archive is opened by its path.

    Raises:
        UserError: the archive is damaged, or unpacks to too much.
        ValueError: it is no 3MF, is damaged, or needs an extension that is not read.
    """
    with open_zip(path, "3MF file") as archive:
        parts = _Parts(archive)
        root = _root(parts)
        read: dict[str, _Part] = {}
        waiting = [root]
        while waiting:
            name = waiting.pop()
            if name not in read:
                read[name] = _read_part(name, parts.read(name))
                waiting += sorted(read[name].others)
    objects = {key: one for part in read.values() for key, one in part.objects.items()}
    return _built(read[root], objects)


class _Parts:
    """The members of an archive by their names, in small letters, read within one bound."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members = {info.filename.lower(): info for info in archive.infolist()}
        self._left = MOST_UNPACKED

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._members

    def read(self, name: str) -> bytes:
        if name not in self:
            raise ValueError(f"it names a part {name[:60]}, which is not there")
        content = read_member(self._archive, self._members[name.lower()], self._left)
        self._left -= len(content)
        return content


def _root(parts: _Parts) -> str:
    """Return the name of the part that says what is built."""
    if "_rels/.rels" not in parts:
        raise ValueError("it has no _rels/.rels, which says where its model is")
    links: ET.Element = read_xml(parts.read("_rels/.rels"))
    for link in links:
        if link.get("Type") == _MODEL_LINK:
            return link.get("Target", "").lstrip("/")
    raise ValueError("it names no model")


def _read_part(name: str, text: bytes) -> "_Part":
    part = _Part(name)
    read_xml(text, part)
    for prefix in part.required:
        extension = part.prefixes.get(prefix, prefix)
        if not extension.startswith(_READ):
            raise ValueError(f"it needs the extension {extension[:80]}, which is not read")
    return part


class _Part(Target):
    """What a part of the archive holds, taken as it comes: of millions of elements no tree is made.

    Attributes:
        scale: millimetres of its unit.
        objects: by the part that they stand in and their ids.
        built: what it builds, and where.
        others: parts that it names, itself among them.
    """

    def __init__(self, part: str) -> None:
        super().__init__()
        self.scale = 1.0
        self.objects: dict[_Key, _Object] = {}
        self.built: list[tuple[_Key, Matrix]] = []
        self.others: set[str] = set()
        self.prefixes: dict[str, str] = {}
        self.required: list[str] = []
        self._part = part
        self._object = _Object()

    def start_ns(self, prefix: str, name: str) -> None:
        self.prefixes[prefix] = name

    def start(self, name: str, attributes: dict[str, str]) -> None:
        super().start(name, attributes)
        if name.startswith(f"{{{_CORE}}}"):
            try:
                self._take(local(name), attributes)
            except KeyError as error:
                raise ValueError(f"a {local(name)} of it has no {error.args[0]}") from error

    def _take(self, kind: str, values: dict[str, str]) -> None:
        if kind == "vertex":
            self._object.vertices.extend(float(values[axis]) for axis in "xyz")
        elif kind == "triangle":
            self._object.triangles.extend(int(values[corner]) for corner in ("v1", "v2", "v3"))
            if len(self._object.triangles) > 3 * MOST_TRIANGLES:
                raise ValueError(f"a part of it has more than {MOST_TRIANGLES} triangles")
        elif kind == "object":
            self._object = _Object()
            key = self._part.lower(), values["id"]
            if key in self.objects:
                raise ValueError(f"two objects of it have the id {values['id'][:20]}")
            self.objects[key] = self._object
        elif kind in ("component", "item"):
            within = next((value for at, value in values.items() if local(at) == "path"), None)
            part = self._part if within is None else within.lstrip("/")
            placed = (part.lower(), values["objectid"]), _place(values.get("transform"))
            self.others.add(part)
            (self._object.components if kind == "component" else self.built).append(placed)
        elif kind == "model":
            unit = values.get("unit", "millimeter")
            if unit not in _MILLIMETRES:
                raise ValueError(f"its unit is {unit[:20]}, which is none of 3MF")
            self.scale = _MILLIMETRES[unit]
            self.required = values.get("requiredextensions", "").split()


def _place(text: str | None) -> Matrix:
    """Return the place that a transform tells: twelve numbers, of rows that are multiplied."""
    place = np.eye(4)
    if text is not None:
        numbers = np.array(text.split(), dtype=np.float64)
        if numbers.shape != (12,):
            raise ValueError("a transform of it is not twelve numbers")
        place[:3] = numbers.reshape(4, 3).T
    return place


def _built(model: _Part, objects: dict[_Key, _Object]) -> tuple[NDArray[np.float64], Polygons]:
    if not model.built:
        raise ValueError("it builds nothing")
    placed = PlacedParts()
    scale = np.diag([model.scale] * 3 + [1.0])
    waiting: list[tuple[_Key, Matrix, tuple[_Key, ...]]]
    waiting = [(key, scale @ place, (key,)) for key, place in reversed(model.built)]
    while waiting:
        key, place, above = waiting.pop()
        placed.count_part()
        if key not in objects:
            raise ValueError(f"it builds an object {key[1][:20]}, which is not there")
        part = objects[key]
        if len(part.triangles):
            vertices = np.frombuffer(part.vertices, dtype=np.float64).reshape(-1, 3)
            triangles = np.frombuffer(part.triangles, dtype=np.int64).reshape(-1, 3)
            placed.add(vertices, [triangles], place)
        for inner, at in part.components:
            if inner in above or len(above) > MOST_DEPTH:
                raise ValueError(f"its object {inner[1][:20]} holds itself, or too many within it")
            waiting.append((inner, place @ at, (*above, inner)))
    return placed.whole()
