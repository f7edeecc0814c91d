"""Small meshes in every format that is read, written as other programs write them."""

import base64
import io
import json
import struct
import zipfile

import numpy as np
import trimesh

VERTICES = np.array([(0, 0, 0), (2, 0, 0), (2, 1, 0), (0, 1, 0), (1, 0.5, 1.5)])
"""Of a pyramid over a rectangle."""

FACES = np.array([(0, 2, 1), (0, 3, 2), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)])
QUAD, SIDES = (0, 3, 2, 1), [(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)]
AREA = trimesh.Trimesh(VERTICES, FACES, process=False).area


def pyramid() -> trimesh.Trimesh:
    return trimesh.Trimesh(VERTICES, FACES, process=False)


def off(
    keyword: str = "OFF\n", line_end: str = "\n", faces: list[tuple[int, ...]] | None = None
) -> bytes:
    faces = FACES.tolist() if faces is None else faces
    lines = [f"{len(VERTICES)} {len(faces)} 0"]
    lines += [" ".join(map(str, vertex)) for vertex in VERTICES]
    lines += [" ".join(map(str, (len(face), *face))) for face in faces]
    return (keyword.replace("\n", line_end) + line_end.join(lines) + line_end).encode()


def obj(line_end: str = "\n") -> bytes:
    lines = ["mtllib none.mtl", "o pyramid", *(f"v {x} {y} {z}" for x, y, z in VERTICES)]
    lines += ["vt 0 0", "vn 0 0 1", "usemtl wood", "s off", "f 1/1/1 4/1/1 3/1/1 2/1/1"]
    lines += [f"f {a + 1}//1 {b + 1}//1 {c + 1}//1" for a, b, c in SIDES]
    return (line_end.join(lines) + line_end).encode()


def ply(encoding: str = "ascii") -> bytes:
    return pyramid().export(file_type="ply", encoding=encoding)


def ply_polygons() -> bytes:
    lines = ["ply", "format ascii 1.0", "comment by hand", "element vertex 5"]
    lines += [f"property double {axis}" for axis in "xyz"]
    lines += ["property uchar red", "element face 5", "property list uchar int vertex_indices"]
    lines += ["end_header", *(f"{x} {y} {z} 255" for x, y, z in VERTICES)]
    lines += [" ".join(map(str, (len(face), *face))) for face in [QUAD, *SIDES]]
    return ("\n".join(lines) + "\n").encode()


def ply_big_endian() -> bytes:
    lines = ["ply", "format binary_big_endian 1.0", "element vertex 5"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += ["element face 6", "property list uchar int vertex_index", "end_header", ""]
    body = VERTICES.astype(">f4").tobytes()
    return "\n".join(lines).encode() + body + b"".join(struct.pack(">B3i", 3, *f) for f in FACES)


def ply_mixed_binary(faces: list[tuple[int, ...]] | None = None) -> bytes:
    faces = [QUAD, *SIDES] if faces is None else faces
    lines = ["ply", "format binary_little_endian 1.0", "element vertex 5"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_index"]
    records = [struct.pack(f"<B{len(face)}i", len(face), *face) for face in faces]
    head = "\n".join([*lines, "end_header", ""]).encode()
    return head + VERTICES.astype("<f4").tobytes() + b"".join(records)


def stl() -> bytes:
    return pyramid().export(file_type="stl")


def stl_text() -> bytes:
    return pyramid().export(file_type="stl_ascii").encode()


def stl_solids() -> bytes:
    halves = [pyramid().submesh([rows], append=True) for rows in ((0, 1), (2, 3, 4, 5))]
    return b"".join(half.export(file_type="stl_ascii").encode() for half in halves)


def scene() -> trimesh.Scene:
    """Two pyramids, one of them moved, turned, doubled in size and mirrored, below a node."""
    made = trimesh.Scene()
    made.add_geometry(pyramid(), node_name="first", geom_name="pyramid")
    place = trimesh.transformations.rotation_matrix(np.pi / 2, (0, 0, 1), (0, 0, 0))
    place[:3, :3] *= 2.0
    place[:3, 0] *= -1.0
    place[:3, 3] = (5, 0, 0)
    made.add_geometry(pyramid(), node_name="second", geom_name="pyramid2", transform=place)
    return made


def glb() -> bytes:
    return scene().export(file_type="glb")


def gltf(mode: int = 4, indices: list[int] | None = None, **changes: object) -> dict[str, object]:
    """One triangle mesh in plain glTF, its buffer inline."""
    indices = FACES.reshape(-1).tolist() if indices is None else indices
    corners = VERTICES.astype("<f4").tobytes()
    content = corners + np.array(indices, dtype="<u2").tobytes()
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "mode": mode}]},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 5, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": len(indices), "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": len(corners)},
            {"buffer": 0, "byteOffset": len(corners), "byteLength": len(content) - len(corners)},
        ],
        "buffers": [
            {
                "byteLength": len(content),
                "uri": "data:application/octet-stream;base64," + base64.b64encode(content).decode(),
            }
        ],
    } | changes


def gltf_bytes(**changes: object) -> bytes:
    return json.dumps(gltf(**changes)).encode()


def glb_of(parts: dict[str, object], binary: bytes = b"") -> bytes:
    text = json.dumps(parts).encode()
    text += b" " * (-len(text) % 4)
    chunks = [struct.pack("<I4s", len(text), b"JSON") + text]
    if binary:
        chunks.append(struct.pack("<I4s", len(binary), b"BIN\0") + binary)
    body = b"".join(chunks)
    out = io.BytesIO()
    out.write(struct.pack("<4sII", b"glTF", 2, 12 + len(body)))
    out.write(body)
    return out.getvalue()


_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"
_PRODUCTION = "http://schemas.microsoft.com/3dmanufacturing/production/2015/06"
RELS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Target="/3D/3dmodel.model" Id="rel0" '
    'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>'
)


def mesh_object(number: int = 1) -> str:
    """The pyramid as an object of 3MF."""
    vertices = "".join(f'<vertex x="{x}" y="{y}" z="{z}"/>' for x, y, z in VERTICES)
    triangles = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in FACES)
    return (
        f'<object id="{number}" type="model"><mesh><vertices>{vertices}</vertices>'
        f"<triangles>{triangles}</triangles></mesh></object>"
    )


def model_text(
    objects: str | None = None, build: str = '<item objectid="1"/>', attributes: str = ""
) -> str:
    objects = mesh_object() if objects is None else objects
    return (
        f'<?xml version="1.0"?><model xmlns="{_CORE}" xmlns:p="{_PRODUCTION}" {attributes}>'
        f"<resources>{objects}</resources><build>{build}</build></model>"
    )


def threemf(model: str | None = None, **others: str) -> bytes:
    """An archive of a model and other parts, by their names within 3D."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_rels/.rels", RELS)
        archive.writestr("3D/3dmodel.model", model_text() if model is None else model)
        for name, text in others.items():
            archive.writestr(f"3D/{name}.model", text)
    return packed.getvalue()


def dae_list(tag: str, values: object, **attributes: object) -> str:
    named = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<{tag}{named}>{' '.join(map(str, np.ravel(values)))}</{tag}>"


def dae(
    primitive: str | None = None,
    nodes: str = '<node><instance_geometry url="#pyramid"/></node>',
    asset: str = "",
    before: str = "",
) -> bytes:
    """COLLADA of the pyramid: texture coordinates beside its vertices, as exporters write them."""
    if primitive is None:
        primitive = dae_faces("triangles", FACES, len(FACES))
    places = dae_list("float_array", VERTICES, id="array", count=15)
    params = "".join(f'<param name="{axis}" type="float"/>' for axis in "XYZ")
    return (
        f'<?xml version="1.0"?>{before}'
        '<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">'
        f"<asset>{asset}</asset><library_geometries>"
        f'<geometry id="pyramid"><mesh><source id="places">{places}<technique_common>'
        f'<accessor source="#array" count="5" stride="3">{params}</accessor></technique_common>'
        '</source><vertices id="corners"><input semantic="POSITION" source="#places"/></vertices>'
        f"{primitive}</mesh></geometry></library_geometries><library_visual_scenes>"
        f'<visual_scene id="scene">{nodes}</visual_scene></library_visual_scenes>'
        '<scene><instance_visual_scene url="#scene"/></scene></COLLADA>'
    ).encode()


def dae_faces(tag: str, corners: object, count: int, vcount: object = None) -> str:
    """A primitive whose corners have a second index, of a texture, always 0."""
    sizes = "" if vcount is None else dae_list("vcount", vcount)
    many = corners if tag in ("polygons", "trifans", "tristrips") else [np.ravel(corners)]
    lists = "".join(dae_list("p", [(corner, 0) for corner in one]) for one in many)
    return (
        f'<{tag} count="{count}" material="wood">'
        '<input semantic="VERTEX" source="#corners" offset="0"/>'
        f'<input semantic="TEXCOORD" source="#none" offset="1"/>{sizes}{lists}</{tag}>'
    )


ONE_PYRAMID = {
    "plain.off": off(),
    "glued.off": off("OFF"),
    "crlf.off": off(line_end="\r\n"),
    "glued crlf.off": off("OFF", line_end="\r\n"),
    "polygons.off": off(faces=[QUAD, *SIDES]),
    "comments.off": b"# made by hand\n"
    + off("OFF # here\n\n").replace(b" 0\n", b" 0 # counts\n", 1),
    "plain.obj": obj(),
    "crlf.obj": obj("\r\n"),
    "text.ply": ply(),
    "polygons.ply": ply_polygons(),
    "binary.ply": ply("binary"),
    "mixed.ply": ply_mixed_binary(),
    "big.ply": ply_big_endian(),
    "binary.stl": stl(),
    "text.stl": stl_text(),
    "solids.stl": stl_solids(),
    "inline.gltf": gltf_bytes(),
    "inline.glb": glb_of(gltf()),
    "plain.3mf": threemf(model_text(attributes='unit="millimeter"')),
    "no unit.3mf": threemf(),
    "triangles.dae": dae(),
    "polygons in a list.dae": dae(
        dae_faces("polylist", np.hstack([QUAD, *SIDES]), 5, [4, 3, 3, 3, 3])
    ),
    "polygons.dae": dae(dae_faces("polygons", [QUAD, *SIDES], 5)),
    "fans of polygons.dae": dae(dae_faces("trifans", [(4, 0, 1, 2, 3, 0), QUAD], 2)),
}
"""The pyramid in every format and form, by file name."""

CHANNEL = [(6, 5), (5, 5), (5, 1), (1, 1), (1, 5), (0, 5), (0, 0), (6, 0)]
"""Of a channel with an opening at the top: corners 2 and 3 are reflex."""

CHANNEL_AREA = 2 * 14 + 30 * 0.2


def channel(start: int = 0) -> tuple[np.ndarray, list[tuple[int, ...]]]:
    """Two concave ends, whose first corner is ``start``, and eight sides between them."""
    ends = np.array(CHANNEL, float)
    vertices = np.concatenate([np.c_[ends, np.zeros(8)], np.c_[ends, np.full(8, 0.2)]])
    order = np.roll(np.arange(8), -start)
    sides = [(row, (row + 1) % 8, (row + 1) % 8 + 8, row + 8) for row in range(8)]
    return vertices, [tuple(order.tolist()), tuple((order[::-1] + 8).tolist()), *sides]


def channel_off(start: int = 0) -> bytes:
    vertices, faces = channel(start)
    lines = [f"OFF\n16 {len(faces)} 0", *(f"{x} {y} {z}" for x, y, z in vertices)]
    lines += [" ".join(map(str, (len(face), *face))) for face in faces]
    return "\n".join(lines).encode()


def channel_obj() -> bytes:
    vertices, faces = channel()
    lines = [f"v {x} {y} {z}" for x, y, z in vertices]
    lines += ["f " + " ".join(str(corner + 1) for corner in face) for face in faces]
    return "\n".join(lines).encode()


def channel_ply(order: str) -> bytes:
    vertices, faces = channel()
    lines = ["ply", f"format {order} 1.0", "element vertex 16"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    head = "\n".join([*lines, "end_header", ""]).encode()
    if order == "ascii":
        rows = [f"{x} {y} {z}" for x, y, z in vertices]
        rows += [" ".join(map(str, (len(face), *face))) for face in faces]
        return head + "\n".join(rows).encode()
    records = [struct.pack(f"<B{len(face)}i", len(face), *face) for face in faces]
    return head + vertices.astype("<f4").tobytes() + b"".join(records)


CONCAVE = {
    "concave.off": channel_off(),
    "from a reflex corner.off": channel_off(2),
    "between others.off": channel_off(5),
    "concave.obj": channel_obj(),
    "concave.ply": channel_ply("ascii"),
    "concave binary.ply": channel_ply("binary_little_endian"),
}
"""The channel in formats that have faces of many corners."""


def ply_strips() -> bytes:
    """The pyramid as strips of triangles, each ended by -1."""
    strips = [corner for face in FACES[2:] for corner in (*face, -1)] + [3, 0, 2, 1, -1]
    lines = ["ply", "format ascii 1.0", "element vertex 5"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += ["element tristrips 1", "property list int int vertex_indices", "end_header"]
    lines += [*(f"{x} {y} {z}" for x, y, z in VERTICES), " ".join(map(str, (len(strips), *strips)))]
    return ("\n".join(lines) + "\n").encode()


_TEXT = stl_text()
ODD = {
    "end solid.stl": _TEXT.replace(b"endsolid", b"end solid"),
    "glued.stl": _TEXT.replace(b"endsolid ", b"endsolid").rstrip() + b"box\n",
    "doubled.stl": b"solid first\n" + _TEXT,
    "parted words.stl": _TEXT.replace(b"endfacet", b"end facet").replace(b"endloop", b"end loop"),
    "old lines.stl": _TEXT.replace(b"\n", b"\r"),
    "marked.stl": b"\xef\xbb\xbf" + _TEXT,
    "a few bytes.stl": stl() + b"end of file\0",
    "colours.stl": stl() + b"COLOR=" + bytes(range(250)),
    "padded.stl": stl() + bytes(50 * 3),
    "named solid.stl": b"solid".ljust(80) + stl()[80:] + b"tail",
    "marked.obj": b"\xef\xbb\xbf" + obj().split(b"\n", 2)[2],
    "marked.ply": b"\xef\xbb\xbf" + ply(),
    "marked.gltf": b"\xef\xbb\xbf" + gltf_bytes(),
    "strips.ply": ply_strips(),
}
"""The pyramid in sound files that stricter readers refuse."""
