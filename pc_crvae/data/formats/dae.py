"""COLLADA (.dae, 1.4 and 1.5): the meshes of its scene, in metres and along the axes of the file.

Ours rather than trimesh's, whose reader leaves out what it cannot read without a word, cuts concave
faces into fans, and opens textures.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.number_text import as_indices, parse_numbers
from pc_crvae.data.formats.placed_parts import Matrix, PlacedParts
from pc_crvae.data.formats.polygons import Polygons, grouped, strip_triangles
from pc_crvae.data.formats.xml_text import MOST_DEPTH, local, read_xml
from pc_crvae.utils.up_axes import Axis

_UP_AXIS = re.compile(rb"<(?:\w+:)?up_axis>\s*([XYZ])_UP\s*<")
_AXES: dict[bytes, Axis] = {b"X": "x", b"Y": "y", b"Z": "z"}
_WITH_SURFACES = ("triangles", "polylist", "polygons", "trifans", "tristrips")

_Part = tuple[NDArray[np.float64], Polygons]


def parse_dae(data: bytes) -> tuple[NDArray[np.float64], Polygons]:
    """Return vertices (V, 3), in metres, and faces of the scene, each part where it is placed.

    Raises:
        ValueError: the file is damaged, or holds what is not read: skinned or morphed bodies,
            polygons with holes, and parts that lie in other files.
    """
    root: ET.Element = read_xml(data)
    for element in root.iter():
        element.tag = local(element.tag)
    if root.tag != "COLLADA":
        raise ValueError("it is no COLLADA")
    return _Scene(root).placed()


def up_axis(data: bytes) -> Axis:
    """Return the axis that a file says points up; y, which is the default, where it says none."""
    found = _UP_AXIS.search(data)
    return "y" if found is None else _AXES[found[1]]


class _Scene:
    def __init__(self, root: ET.Element) -> None:
        self._root = root
        self._by_id = {part.get("id", ""): part for part in root.iter() if part.get("id")}
        self._parts: dict[str, list[_Part]] = {}
        self._placed = PlacedParts()

    def placed(self) -> _Part:
        instance = self._root.find("scene/instance_visual_scene")
        if instance is None:
            raise ValueError("it has no scene, which says where its parts are")
        found = self._root.find("asset/unit")
        unit = 1.0 if found is None else float(found.get("meter", "1"))
        if not 0 < unit < np.inf:
            raise ValueError(f"its unit is {unit} metres")
        scale = np.diag([unit] * 3 + [1.0])
        for node in self._named(instance, "visual_scene").findall("node"):
            self._place(node, scale, 0)
        return self._placed.whole()

    def _place(self, node: ET.Element, within: Matrix, depth: int) -> None:
        if depth > MOST_DEPTH:
            raise ValueError("a node of it holds itself, or too many within it")
        self._placed.count_part()
        place = within
        for child in node:
            if child.tag in _TRANSFORMS:
                place = place @ _TRANSFORMS[child.tag](child)
            elif child.tag == "skew":
                raise ValueError("it skews a node, which is not read")
            elif child.tag == "instance_controller":
                raise ValueError(
                    "it holds a body that bones or targets form, which is not read: save it as a "
                    "plain mesh"
                )
        for child in node:
            if child.tag == "instance_geometry":
                for vertices, polygons in self._geometry(child):
                    self._placed.add(vertices, polygons, place)
            elif child.tag == "instance_node":
                self._place(self._named(child, "node"), place, depth + 1)
            elif child.tag == "node":
                self._place(child, place, depth + 1)

    def _named(self, reference: ET.Element, kind: str, attribute: str = "url") -> ET.Element:
        """Return the element that an address names, and refuse one of another kind."""
        address = reference.get(attribute, "")
        if not address.startswith("#"):
            raise ValueError(f"a {kind} of it lies in another file, {address[:60]}, not read")
        found = self._by_id.get(address[1:])
        if found is None or found.tag != kind:
            raise ValueError(f"it names a {kind} {address[:60]}, which is not there")
        return found

    def _geometry(self, instance: ET.Element) -> list[_Part]:
        address = instance.get("url", "")
        if address not in self._parts:
            geometry = self._named(instance, "geometry")
            if geometry.find("convex_mesh") is not None:
                raise ValueError("it has a convex_mesh, which is not read")
            mesh = geometry.find("mesh")  # a spline has no surface
            self._parts[address] = [] if mesh is None else list(self._meshes(mesh))
        return self._parts[address]

    def _meshes(self, mesh: ET.Element) -> Iterator[_Part]:
        for primitive in mesh:
            if primitive.tag not in _WITH_SURFACES or int(primitive.get("count", "0")) == 0:
                continue
            inputs = primitive.findall("input")
            width = 1 + max((int(one.get("offset", "0")) for one in inputs), default=0)
            vertex = next((one for one in inputs if one.get("semantic") == "VERTEX"), None)
            if vertex is None or not 1 <= width <= _MOST_INPUTS:
                raise ValueError(f"a {primitive.tag} of it has no vertices")
            vertices = self._vertices(self._named(vertex, "vertices", "source"))
            column = int(vertex.get("offset", "0"))
            yield vertices, _polygons(primitive, width, column)

    def _vertices(self, element: ET.Element) -> NDArray[np.float64]:
        """Return the places (V, 3) that a ``vertices`` element names."""
        inputs = element.findall("input")
        position = next((one for one in inputs if one.get("semantic") == "POSITION"), None)
        if position is None:
            raise ValueError("its vertices have no places")
        source = self._named(position, "source", "source")
        accessor = source.find("technique_common/accessor")
        if accessor is None:
            raise ValueError("a source of it does not say how its numbers are read")
        numbers = _numbers(self._named(accessor, "float_array", "source"))
        count, stride = int(accessor.get("count", "0")), int(accessor.get("stride", "1"))
        offset = int(accessor.get("offset", "0"))
        names = [param.get("name") for param in accessor.findall("param")]
        axes = [names.index(axis) if axis in names else k for k, axis in enumerate("XYZ")]
        if min(count, offset) < 0 or not max(axes) < stride <= _MOST_INPUTS:
            raise ValueError("it describes its places by impossible numbers")
        if offset + count * stride > len(numbers):
            raise ValueError(f"it promises {count} places, more than its numbers are")
        rows = numbers[offset : offset + count * stride].reshape(count, stride)
        return rows[:, axes]


_MOST_INPUTS = 256


def _polygons(primitive: ET.Element, width: int, column: int) -> Polygons:
    """Return the faces of a primitive by their corners."""
    count = int(primitive.get("count", "0"))
    if primitive.find("ph") is not None:
        raise ValueError("it has polygons with holes, which are not read: cut them into triangles")
    lists = [_corners(p, width)[:, column] for p in primitive.findall("p")]
    if primitive.tag in ("triangles", "polylist"):
        corners = np.concatenate([np.empty(0, np.int64), *lists])
        if primitive.tag == "triangles":
            sizes = np.full(count, 3, dtype=np.int64)
        else:
            sizes = _whole_numbers(primitive.find("vcount"))
        if count != len(sizes) or np.any(sizes < 0) or sizes.sum() != len(corners):
            raise ValueError(
                f"it promises {count} faces in a {primitive.tag}, and its corners are those of "
                "others"
            )
        return _by_size(corners, sizes)
    if count != len(lists):
        raise ValueError(f"it promises {count} {primitive.tag}, and has {len(lists)}")
    if primitive.tag == "polygons":
        return grouped(corners.tolist() for corners in lists)
    faces = [np.empty((0, 3), np.int64)]
    for corners in lists:
        if primitive.tag == "trifans":
            first = np.full(max(len(corners) - 2, 0), corners[0] if len(corners) else 0)
            faces.append(np.stack([first, corners[1:-1], corners[2:]], axis=1))
        else:
            faces.append(strip_triangles(corners))
    return [np.concatenate(faces)]


def _by_size(corners: NDArray[np.int64], sizes: NDArray[np.int64]) -> Polygons:
    starts = np.cumsum(sizes) - sizes
    return [corners[starts[sizes == size][:, None] + np.arange(size)] for size in np.unique(sizes)]


def _corners(element: ET.Element, width: int) -> NDArray[np.int64]:
    numbers = _whole_numbers(element)
    if len(numbers) % width:
        raise ValueError(f"a list of its corners is not a whole number of {width} indices each")
    return numbers.reshape(-1, width)


def _whole_numbers(element: ET.Element | None) -> NDArray[np.int64]:
    numbers = _parsed(element)
    indices = None if numbers is None else as_indices(numbers)
    if indices is None:
        raise ValueError("a list of its indices has what is no whole number")
    return indices


def _numbers(element: ET.Element) -> NDArray[np.float64]:
    numbers = _parsed(element)
    if numbers is None:
        raise ValueError("a list of its numbers has what is none")
    return numbers


def _parsed(element: ET.Element | None) -> NDArray[np.float64] | None:
    words = b"" if element is None or element.text is None else element.text.encode()
    return parse_numbers(words, len(words.split()))


def _of_count(element: ET.Element, count: int) -> NDArray[np.float64]:
    numbers = _numbers(element)
    if len(numbers) != count:
        raise ValueError(f"a {element.tag} of it is not {count} numbers")
    return numbers


def _translate(element: ET.Element) -> Matrix:
    place = np.eye(4)
    place[:3, 3] = _of_count(element, 3)
    return place


def _rotate(element: ET.Element) -> Matrix:
    """Turn about an axis by degrees: Rodrigues' formula."""
    *axis, degrees = _of_count(element, 4)
    length = np.linalg.norm(axis)
    if not length > 0:
        raise ValueError("it turns a node about no axis")
    x, y, z = np.array(axis) / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    place = np.eye(4)
    place[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return place


def _look_at(element: ET.Element) -> Matrix:
    """Place something at a point, its -z towards another, its y up; the columns are its axes."""
    eye, target, up = _of_count(element, 9).reshape(3, 3)
    back = eye - target
    side = np.cross(up, back)
    if not (np.linalg.norm(back) > 0 and np.linalg.norm(side) > 0):
        raise ValueError("it has a lookat that looks nowhere")
    back, side = back / np.linalg.norm(back), side / np.linalg.norm(side)
    place = np.eye(4)
    place[:3] = np.stack([side, np.cross(back, side), back, eye], axis=1)
    return place


_TRANSFORMS: dict[str, Callable[[ET.Element], Matrix]] = {
    "matrix": lambda element: _of_count(element, 16).reshape(4, 4),
    "translate": _translate,
    "scale": lambda element: np.diag([*_of_count(element, 3), 1.0]),
    "rotate": _rotate,
    "lookat": _look_at,
}
