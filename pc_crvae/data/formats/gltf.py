"""glTF and GLB scenes through trimesh, which is given nothing but their geometry.

Textures, materials, cameras and animations are cut from the scene before trimesh sees it, and
its buffers are handed over in memory: no file is opened or address fetched that is not a buffer in
the scene's own folder.
"""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.formats.placed_parts import PlacedParts
from pc_crvae.data.formats.polygons import Polygons
from pc_crvae.data.formats.precision import defect_of_steps
from pc_crvae.errors import UserError

_MAGIC, _JSON_CHUNK, _BINARY_CHUNK = b"glTF", b"JSON", b"BIN\0"
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_HARMLESS = re.compile(
    r"(KHR|EXT|MSFT|ADOBE|AGI|GODOT|VENDOR)_(materials?|textures?|lights?|xmp|animation|audio|"
    r"techniques|blend|image|collections?|stylize|structural_metadata|instance_features|"
    r"mesh_features|metadata)[A-Za-z0-9_]*|KHR_mesh_quantization"
)
"""Extensions that say nothing of where which triangles are, or nothing that is not read."""

_MOVING = ("EXT_mesh_gpu_instancing",)
"""Extensions of nodes that place parts, which are refused even where a scene does not require
them: a part that is drawn once for many times is another shape."""

_NOTHING = {"count": 0, "componentType": 5126, "type": "SCALAR"}
_LARGEST_BUFFER = 2**31


def parse_glb(path: Path, data: bytes) -> tuple[NDArray[np.float64], Polygons]:
    """As :func:`parse_gltf`, of a binary file.

    Raises:
        ValueError: as there, or the file is none or shorter than its header promises.
    """
    scene, binary = scene_of_glb(data)
    return _parse(scene, path, binary)


def scene_of_glb(data: bytes) -> tuple[dict[str, Any], bytes | None]:
    """Return the scene of a binary file as JSON has it, and its buffer, None where it has none.

    Raises:
        ValueError: as :func:`parse_glb`.
    """
    if data[:4] != _MAGIC or len(data) < 20:
        raise ValueError("it does not start as GLB files do")
    version, length = (int.from_bytes(data[at : at + 4], "little") for at in (4, 8))
    if version != 2:
        raise ValueError(f"it is of version {version} of glTF, and only 2 is read")
    if length > len(data):
        raise ValueError(f"its header promises {length} bytes, and it has {len(data)}")
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= length:
        size, kind = int.from_bytes(data[at : at + 4], "little"), data[at + 4 : at + 8]
        if at + 8 + size > length:
            raise ValueError(f"a chunk promises {size} bytes, and {length - at - 8} are left")
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    if _JSON_CHUNK not in chunks:
        raise ValueError("it has no JSON chunk")
    return json.loads(chunks[_JSON_CHUNK].decode("utf-8-sig")), chunks.get(_BINARY_CHUNK)


def parse_gltf(path: Path, data: bytes) -> tuple[NDArray[np.float64], Polygons]:
    """Return vertices (V, 3) and triangles of the scene, each part where it is placed.

    Args:
        path: the file, for the buffers beside it.
        data: the JSON text.

    Raises:
        ValueError: the scene cannot be read, promises more than its buffers hold, or needs a
            decoder that is not here. trimesh raises others besides on damaged scenes.
        OSError: a buffer is missing.
    """
    return _parse(json.loads(data.decode("utf-8-sig")), path, None)


def _parse(
    scene: dict[str, Any], path: Path, embedded: bytes | None
) -> tuple[NDArray[np.float64], Polygons]:
    from trimesh.exchange.gltf import load_gltf

    _check_extensions(scene)
    buffers = [
        _buffer(buffer, path, embedded if index == 0 else None)
        for index, buffer in enumerate(scene.get("buffers", []))
    ]
    geometry = _only_geometry(scene, [len(buffer) for buffer in buffers])
    by_name = {str(index): buffer for index, buffer in enumerate(buffers)}
    with np.errstate(all="ignore"):  # what is not finite is refused as such
        loaded = load_gltf(io.BytesIO(json.dumps(geometry).encode()), resolver=by_name)
        return _flatten(path, loaded)


def _check_extensions(scene: dict[str, Any]) -> None:
    """Refuse extensions that change the geometry and are not read here."""
    required = [name for name in scene.get("extensionsRequired") or [] if isinstance(name, str)]
    nodes = [node for node in scene.get("nodes") or [] if isinstance(node, dict)]
    extensions = [node["extensions"] for node in nodes if isinstance(node.get("extensions"), dict)]
    of_nodes = {name for names in extensions for name in names if name in _MOVING}
    unknown = sorted({name for name in required if not _HARMLESS.fullmatch(name)} | of_nodes)
    if unknown:
        names = ", ".join(unknown)[:120]
        raise ValueError(f"it needs the extension {names}, which is not read: save it without")


def external_files(path: Path, data: bytes) -> list[Path]:
    """Return the files beside a scene in JSON that hold its buffers, whether there or not."""
    try:
        buffers = json.loads(data.decode("utf-8-sig")).get("buffers") or []
        uris = [buffer["uri"] for buffer in buffers if isinstance(buffer.get("uri"), str)]
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        return []  # which whoever reads the scene tells
    return [path.parent / unquote(uri) for uri in uris if not uri.startswith("data:")]


def _buffer(buffer: dict[str, Any], path: Path, embedded: bytes | None) -> bytes:
    uri = buffer.get("uri")
    if uri is None:
        if embedded is None:
            raise ValueError("a buffer of it has neither content nor address")
        return embedded
    if uri.startswith("data:"):
        return base64.b64decode(uri.partition("base64,")[2])
    name = unquote(uri)
    beside = (path.parent / name).resolve()
    if "://" in name or not beside.is_relative_to(path.parent.resolve()):
        raise ValueError(f"its buffer {uri[:60]} lies outside its own folder")
    if not beside.is_file():
        raise ValueError(f"its buffer {uri[:60]} is not there")
    if beside.stat().st_size > _LARGEST_BUFFER:
        raise ValueError(
            f"its buffer {uri[:60]} has more than {_LARGEST_BUFFER} bytes: simplify it"
        )
    return beside.read_bytes()


def _only_geometry(scene: dict[str, Any], buffer_sizes: list[int]) -> dict[str, Any]:
    """Return the parts of a scene that say where which triangles are, checked against sizes."""
    views = scene.get("bufferViews", [])
    for view in views:
        at, size = view.get("byteOffset", 0), view["byteLength"]
        if not 0 <= at <= at + size <= buffer_sizes[view["buffer"]]:
            raise ValueError("it promises more than its buffers hold")
    accessors = scene.get("accessors", [])
    meshes, used = [], set()
    for mesh in scene.get("meshes", []):
        primitives = []
        for primitive in mesh["primitives"]:
            mode = primitive.get("mode", _TRIANGLES)
            if mode == _FAN:
                raise ValueError("it holds triangle fans, which are not read: save triangles")
            if mode not in (_TRIANGLES, _STRIP):
                continue  # points and lines have no surface
            if primitive.get("extensions"):
                names = ", ".join(sorted(primitive["extensions"]))
                if "compression" in names:
                    raise ValueError(f"its meshes are compressed ({names}): save them plain")
            kept = {"attributes": {"POSITION": primitive["attributes"]["POSITION"]}, "mode": mode}
            if "indices" in primitive:
                kept["indices"] = primitive["indices"]
                used.add(primitive["indices"])
            used.add(primitive["attributes"]["POSITION"])
            primitives.append(kept)
        meshes.append({"primitives": primitives})
    for index in used:
        _check_accessor(accessors[index], views)
    kept_of_nodes = ("children", "mesh", "matrix", "translation", "rotation", "scale")
    return {
        "asset": {"version": "2.0"},
        "scene": scene.get("scene", 0),
        "scenes": [{"nodes": part.get("nodes", [])} for part in scene.get("scenes", [{}])],
        "nodes": [
            {key: node[key] for key in kept_of_nodes if key in node}
            for node in scene.get("nodes", [])
        ],
        "meshes": meshes,
        "accessors": [
            accessor if index in used else _NOTHING for index, accessor in enumerate(accessors)
        ],
        "bufferViews": views,
        "buffers": [{"uri": str(index)} for index in range(len(buffer_sizes))],
    }


def _check_accessor(accessor: dict[str, Any], views: list[dict[str, Any]]) -> None:
    if "sparse" in accessor or "bufferView" not in accessor:
        raise ValueError("it stores meshes sparsely or by an extension: save them plain")
    if accessor.get("normalized"):
        raise ValueError("it stores places as fractions of whole numbers: save them plain")
    view = views[accessor["bufferView"]]
    item = _COMPONENT_BYTES[accessor["componentType"]] * _COMPONENTS[accessor["type"]]
    count, at = accessor["count"], accessor.get("byteOffset", 0)
    stride = view.get("byteStride", item)
    if count < 0 or at < 0 or stride < item:
        raise ValueError("it describes its arrays by impossible numbers")
    if count and at + (count - 1) * stride + item > view["byteLength"]:
        raise ValueError(f"an array of it promises {count} items, more than its buffer holds")


def _flatten(path: Path, loaded: dict[str, Any]) -> tuple[NDArray[np.float64], Polygons]:
    """Put every part where the scene places it; trimesh lists a node after its parent."""
    world = {loaded["base_frame"]: np.eye(4)}
    placed = PlacedParts()
    step = 0.0  # between neighbouring numbers of a part, once it is placed
    for node in loaded["graph"]:
        place = world[node["frame_from"]] @ node["matrix"]
        world[node["frame_to"]] = place
        if "geometry" not in node:
            continue
        part = loaded["geometry"][node["geometry"]]
        stored = np.asarray(part["vertices"])
        placed.add(stored.astype(np.float64), [np.asarray(part["faces"], dtype=np.int64)], place)
        if stored.dtype.kind == "f" and stored.size:
            spacing = float(np.spacing(np.abs(stored).max()))
            step = max(step, spacing * np.abs(place[:3, :3]).sum(axis=1).max())
    vertices, faces = placed.whole()
    if len(vertices) and step > 0 and np.isfinite(vertices).all():
        defect = defect_of_steps(float(np.ptp(vertices, axis=0).max()) / step, np.dtype(np.float32))
        if defect is not None:
            raise UserError(f"{path} is {defect}")
    return vertices, faces
