"""Surfaces of mesh files, the points drawn from them, and what is refused."""

import base64
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import mesh_writers as write
from helpers.fuzzing import damaged, fuzz_files
from pc_crvae.data.formats.meshes import Surface, load_points, read_surface
from pc_crvae.data.formats.ply import has_faces
from pc_crvae.data.formats.registry import MESH_SUFFIXES
from pc_crvae.data.surface_sampling import surface_areas
from pc_crvae.errors import UserError

PLY_HEAD = (
    "ply\nformat {} 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\n"
)
PLY_TAIL = "element face {}\nproperty list uchar int vertex_indices\nend_header\n"


def save(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def triangles(surface: Surface) -> np.ndarray:
    return surface.vertices[surface.faces]


def area(surface: Surface) -> float:
    return float(surface_areas(triangles(surface)).sum())


def sorted_triangles(mesh: np.ndarray) -> np.ndarray:
    """Triangles in an order, and each from a corner, of their own."""
    lowest = [np.lexsort(corners.T)[0] for corners in mesh]
    turned = [np.roll(corners, -at, axis=0) for corners, at in zip(mesh, lowest, strict=True)]
    flat = np.array(turned).reshape(-1, 9)
    return flat[np.lexsort(flat.T)]


def volume(surface: Surface) -> float:
    mesh = triangles(surface)
    return float(np.linalg.det(mesh).sum() / 6)


@pytest.mark.parametrize("name", write.ONE_PYRAMID)
def test_every_format_gives_the_same_surface(tmp_path: Path, name: str):
    surface = read_surface(save(tmp_path, name, write.ONE_PYRAMID[name]))
    expected = write.VERTICES[write.FACES]
    if "polygons" in name or "mixed" in name or name.endswith(".obj"):
        assert area(surface) == pytest.approx(write.AREA)
    else:
        np.testing.assert_allclose(sorted_triangles(triangles(surface)), sorted_triangles(expected))
    assert volume(surface) == pytest.approx(1.0)
    assert surface.vertices.dtype == np.float64
    assert surface.faces.dtype == np.int64
    merged = {"duplicate vertices": 13} if name.endswith(".stl") else {}
    assert surface.repairs == merged


def test_a_binary_stl_may_begin_as_a_text_in_utf_16_does(tmp_path: Path):
    path = save(tmp_path, "a.stl", b"\xff\xfe" + write.stl()[2:])
    assert len(read_surface(path).faces) == 6


def test_zeros_behind_a_binary_stl_are_passed_over(tmp_path: Path):
    tail = bytes(80) + struct.pack("<I", 1) + bytes(50)
    assert len(read_surface(save(tmp_path, "a.stl", write.stl() + tail)).faces) == 6


@pytest.mark.parametrize("name", ["a.stl", "a.obj"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_texts_with_a_byte_order_mark_are_read(tmp_path: Path, name: str, encoding: str):
    text = {"a.stl": write.stl_text, "a.obj": write.obj}[name]().decode()
    assert area(read_surface(save(tmp_path, name, text.encode(encoding)))) == pytest.approx(
        write.AREA
    )


@pytest.mark.parametrize("name", ["plain.off", "text.stl", "inline.glb"])
def test_suffixes_are_read_whatever_their_case(tmp_path: Path, name: str):
    path = save(tmp_path, name.upper(), write.ONE_PYRAMID[name])
    assert len(read_surface(path).faces) == 6


def test_a_scene_is_put_together_with_its_transforms(tmp_path: Path):
    surface = read_surface(save(tmp_path, "scene.glb", write.glb()))
    oracle = write.scene().to_mesh()
    np.testing.assert_allclose(
        sorted_triangles(triangles(surface)), sorted_triangles(oracle.triangles), atol=1e-6
    )
    assert volume(surface) == pytest.approx(9.0)  # a mirrored part is not inside out


def test_nodes_below_nodes_and_beside_cameras_are_placed(tmp_path: Path):
    nodes = [
        {"children": [1, 3], "translation": [10, 0, 0], "camera": 0},
        {"children": [2], "rotation": [0, 0, np.sqrt(0.5), np.sqrt(0.5)]},
        {"mesh": 0, "scale": [1, 2, 3]},
        {"mesh": 0, "matrix": np.diag([1.0, 1, 1, 1]).ravel().tolist()},
    ]
    parts = write.gltf_bytes(nodes=nodes, cameras=[{"type": "perspective", "perspective": {}}])
    mesh = triangles(read_surface(save(tmp_path, "a.gltf", parts)))
    turned = write.VERTICES[:, [1, 0, 2]] * (-2, 1, 3) + (10, 0, 0)
    expected = [turned[write.FACES], write.VERTICES[write.FACES] + np.array((10, 0, 0))]
    np.testing.assert_allclose(
        sorted_triangles(mesh), sorted_triangles(np.concatenate(expected)), atol=1e-6
    )


def test_a_binary_ply_whose_faces_differ_but_fill_as_much_as_if_they_did_not(tmp_path: Path):
    faces = [(1, 2, 4), write.QUAD, (0, 1)]
    path = save(tmp_path, "a.ply", write.ply_mixed_binary(faces))
    assert area(read_surface(path)) == pytest.approx(
        2.0 + surface_areas(write.VERTICES[[(1, 2, 4)]]).item()
    )


def test_a_deep_chain_of_nodes_takes_no_time(tmp_path: Path):
    depth = 20_000
    nodes: list[dict[str, Any]] = [{"children": [row + 1]} for row in range(depth)]
    path = save(tmp_path, "a.gltf", write.gltf_bytes(nodes=[*nodes, {"mesh": 0}]))
    assert len(read_surface(path).faces) == 6


def test_triangle_strips_are_read(tmp_path: Path):
    parts = write.gltf_bytes(mode=5, indices=[0, 1, 3, 2, 4])
    assert len(read_surface(save(tmp_path, "a.gltf", parts)).faces) == 3


def test_the_parts_of_a_scene_that_have_no_surface_are_passed_over(tmp_path: Path):
    parts = write.gltf()
    primitives = parts["meshes"][0]["primitives"]
    primitives += [{**primitives[0], "mode": mode} for mode in (0, 1, 3)]
    assert len(read_surface(save(tmp_path, "a.gltf", json.dumps(parts))).faces) == 6


def test_a_buffer_beside_the_scene_is_read(tmp_path: Path):
    (tmp_path / "sub").mkdir()
    for name, content in write.pyramid().scene().export(file_type="gltf").items():
        save(tmp_path / "sub", name, content)
    assert area(read_surface(tmp_path / "sub" / "model.gltf")) == pytest.approx(write.AREA)


@pytest.mark.parametrize(
    "uri", ["../secret.bin", "http://example.org/a.bin", "file:///etc/passwd", "%2e%2e/secret.bin"]
)
def test_a_buffer_elsewhere_is_not_touched(tmp_path: Path, uri: str):
    save(tmp_path, "secret.bin", bytes(1000))
    (tmp_path / "sub").mkdir()
    parts = write.gltf_bytes(buffers=[{"byteLength": 96, "uri": uri}])
    with pytest.raises(UserError, match=r"lies outside its own folder|is not there"):
        read_surface(save(tmp_path / "sub", "a.gltf", parts))


def test_materials_and_textures_are_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image = {"uri": "wood.png"}
    parts = write.gltf(
        images=[image], textures=[{"source": 0}], materials=[{"name": "wood"}], samplers=[{}]
    )
    files = [
        save(tmp_path, "a.gltf", json.dumps(parts)),
        save(tmp_path, "a.obj", write.obj()),
        save(
            tmp_path,
            "a.ply",
            write.ply().replace(b"element", b"comment TextureFile wood.png\nelement", 1),
        ),
    ]
    for name in ("wood.png", "none.mtl"):
        os.mkfifo(tmp_path / name)  # whoever opens one waits for ever
    for path in files:
        assert len(read_surface(path).faces) == 6


def test_relative_indices_count_from_the_face_they_stand_in(tmp_path: Path):
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 0 0 5\nv 1 0 5\nv 0 1 5\nf -3/-1 -2/-1 -1/-1\n"
    mesh = triangles(read_surface(save(tmp_path, "a.obj", text)))
    assert sorted({tuple(corners[:, 2]) for corners in mesh}) == [(0, 0, 0), (5, 5, 5)]


@pytest.mark.parametrize(
    "text",
    [
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3",
        "  v 0 0 0\n\tv\t1 0 0\nv 0 1 0 # corner\n f 1 2 3\n",
        "v 0 0 0 1 0 0\nv 1 0 0\nv 0 1 0 1\nf 1 2 \\\n3\n",
        "\xff v\nv 0 0 0\r\nv 1 0 0\r\nv 0 1 0\r\nfo 9 9\nf 1/5/7 2//8 3/1\r\nl 1 2\n",
    ],
)
def test_the_ways_to_write_an_obj_are_understood(tmp_path: Path, text: str):
    assert area(read_surface(save(tmp_path, "a.obj", text.encode("latin-1")))) == 0.5


@pytest.mark.parametrize(
    "text",
    [
        "OFF 3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
        "OFF\n3 1\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2",
        "COFF\n3 1 0\n0 0 0 255 0 0 255\n1 0 0 0 0 0 0\n0 1 0 0 0 0 0\n3 0 1 2 255 0 0\n",
        "NOFF\n3 1 0\n0 0 0 0 0 1\n1 0 0 0 0 1\n0 1 0 0 0 1\n3 0 1 2\n",
        "OFF\n3 2 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2 0.5 0.5 0.5\n2 0 1\n",
        "\ufeffOFF\n\n# note\n3 1 0\n\n0 0 0\n1 0 0 # corner\n0 1 0\n3 0 1 2\n",
    ],
)
def test_the_ways_to_write_an_off_are_understood(tmp_path: Path, text: str):
    assert area(read_surface(save(tmp_path, "a.off", text))) == 0.5


def test_repairs_are_counted_and_leave_the_surface_as_it_was(tmp_path: Path):
    corners = ["0 0 0", "1 0 0", "0 1 0", "1 0 0", "-0.0 1 0", "1 1 0", "7 7 7", "2 0 0"]
    faces = ["3 0 1 2", "3 3 5 4", "3 0 1 3", "3 0 0 1", "3 0 1 7"]
    text = "\n".join([f"OFF\n{len(corners)} {len(faces)} 0", *corners, *faces])
    surface = read_surface(save(tmp_path, "a.off", text))
    assert surface.repairs == {"degenerate faces": 3, "duplicate vertices": 2}
    assert area(surface) == 1.0
    assert len(surface.faces) == 2
    # The vertex that no face uses is gone, the one of a degenerate face may stay.
    assert sorted(map(tuple, np.unique(triangles(surface).reshape(-1, 3), axis=0).tolist())) == [
        (0, 0, 0),
        (0, 1, 0),
        (1, 0, 0),
        (1, 1, 0),
    ]


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1.0, 1e30, 1e200])
def test_points_of_tiny_and_huge_shapes_are_drawn_alike(tmp_path: Path, scale: float):
    pyramid = trimesh.Trimesh(write.VERTICES * scale, write.FACES, process=False)
    lines = ["OFF", "5 6 0"]
    lines += [" ".join(map(repr, map(float, vertex))) for vertex in pyramid.vertices]
    lines += [" ".join(map(str, (3, *face))) for face in write.FACES]
    path = save(tmp_path, "a.off", "\n".join(lines))
    points = load_points(path, 100, np.random.default_rng(0)).points
    unit = load_points(save(tmp_path, "b.off", write.off()), 100, np.random.default_rng(0)).points
    np.testing.assert_allclose(points / scale, unit, atol=1e-12)


def test_points_lie_on_the_surface_by_area_with_the_normals_of_their_faces(tmp_path: Path):
    pyramid = write.pyramid().apply_translation((10, -20, 30))
    path = save(tmp_path, "a.off", pyramid.export(file_type="off"))
    sample = load_points(path, 20_000, np.random.default_rng(0))
    _, distance, face = trimesh.proximity.closest_point_naive(pyramid, sample.points[:500])
    assert distance.max() < 1e-12
    np.testing.assert_allclose(sample.normals[:500], pyramid.face_normals[face], atol=1e-12)
    on_floor = np.isclose(sample.points[:, 2], 30).mean()
    assert on_floor == pytest.approx(2.0 / write.AREA, abs=0.015)


def test_points_depend_on_the_generator_alone(tmp_path: Path):
    path = save(tmp_path, "a.obj", write.obj())
    first, again = (load_points(path, 64, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.points, again.points)
    other = load_points(path, 64, np.random.default_rng(4))
    assert not np.array_equal(first.points, other.points)


def ply(vertices: int = 3, faces: int = 1, body: str = "0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n") -> str:
    return PLY_HEAD.format("ascii", vertices) + PLY_TAIL.format(faces) + body


def off(body: str) -> str:
    return "OFF\n" + body


TRIANGLE = "0 0 0\n1 0 0\n0 1 0\n"


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.off", "", "does not start with OFF"),
        ("a.off", "OFF BINARY\n", "not followed by a line with the numbers"),
        ("a.off", "4OFF\n3 1 0\n", "does not start with OFF"),
        ("a.off", off("3 x 0\n"), "not followed by a line with the numbers"),
        ("a.off", off(f"1000000000 1 0\n{TRIANGLE}3 0 1 2\n"), "1000000000 vertices.*can hold"),
        ("a.off", off(f"3 1000000000 0\n{TRIANGLE}3 0 1 2\n"), "1000000000 faces.*can hold"),
        ("a.off", off(f"3 {'9' * 5000} 0\n{TRIANGLE}3 0 1 2\n"), "not followed by a line"),
        ("a.off", off(f"3 3 0\n{TRIANGLE}3 0 1 2\n3 0 1 2\n"), "ends after 5 of the 6 lines"),
        ("a.off", off(f"3 1 0\n{TRIANGLE}3 0 1\n"), "promises 3 corners and has 2"),
        ("a.off", off(f"3 1 0\n{TRIANGLE}3 0 1 3\n"), r"vertex 3 \(counted from 0\) of 3"),
        ("a.off", off(f"3 1 0\n{TRIANGLE}3 0 1 -1\n"), r"vertex -1 \(counted from 0\) of 3"),
        ("a.off", off(f"3 1 0\n{TRIANGLE}3 0 1 1.5\n"), "invalid literal"),
        ("a.off", off("3 1 0\n0 0 0\n1 0\n0 1 0\n3 0 1 2\n"), "inhomogeneous"),
        ("a.off", off(f"3 0 0\n{TRIANGLE}"), "no faces"),
        ("a.off", off(f"3 1 0\n{TRIANGLE}2 0 1\n"), "no faces"),
        ("a.off", off("3 1 0\n0 0 0\n1 0 nan\n0 1 0\n3 0 1 2\n"), "NaN or infinite.*vertex 1"),
        ("a.off", off("3 1 0\n0 0 0\n1 0 0\n0 1e999 0\n3 0 1 2\n"), "infinite.*vertex 2"),
        ("a.off", off("3 1 0\n-1e308 0 0\n1e308 0 0\n0 1 0\n3 0 1 2\n"), "too large"),
        ("a.off", off("3 1 0\n0 0 0\n1 1 1\n2 2 2\n3 0 1 2\n"), "no area"),
        ("a.off", off("3 1 0\n5 5 5\n5 5 5\n5 5 5\n3 0 1 2\n"), "no area"),
        ("a.obj", "", "no faces"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no faces"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "the vertex 0, where 3 precede"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 -4\n", "the vertex -4, where 3 precede"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "vertex 3 .* of 3"),
        ("a.obj", "v 0 0 0\nv 1 0 x\nv 0 1 0\nf 1 2 3\n", "could not convert"),
        ("a.obj", "v 0 0 0\nv 1 0\nv 0 1 0\nf 1 2 3\n", "inhomogeneous"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 99999999999999999999\n", "too large"),
        ("a.ply", "", "no header"),
        ("a.ply", "ply\n" * 100_000, "no header"),
        ("a.ply", ply(vertices=1_000_000_000), "promises 1000000001 lines, and 4"),
        ("a.ply", ply(faces=2), "promises 5 lines, and 4"),
        ("a.ply", ply(body=f"{TRIANGLE}3 0 1\n"), "line of face holds less"),
        ("a.ply", ply(body="0 0 0\n1 0\n0 1 0\n3 0 1 2\n"), "line of vertex holds less"),
        # As many numbers as promised, though not a line each.
        ("a.ply", ply(body="0 0 0\n1 0\n0 1 0 0\n3 0 1 2\n"), "line of vertex holds less"),
        ("a.ply", ply(body="0 0 0\n1-0 0\n0 1 0\n3 0 1 2\n"), "line of vertex holds less"),
        ("a.ply", ply().replace("uchar int", "uchar float"), "corners .* not whole numbers"),
        ("a.ply", ply().replace("element face", "element vertex"), "two elements of one name"),
        ("a.ply", ply(body=f"{TRIANGLE}3 0 1 7\n"), "vertex 7"),
        ("a.ply", ply(faces=0), "no faces"),
        ("a.ply", ply().replace("float z", "float w"), "no vertices with x, y and z"),
        ("a.ply", ply().replace("uchar", "uchat"), "none of PLY: 'property list uchat"),
        ("a.ply", ply().replace("format ascii 1.0\n", ""), "text or binary"),
        (
            "a.ply",
            PLY_HEAD.format("binary_little_endian", 10**9) + PLY_TAIL.format(1) + "\0" * 90,
            "1000000000 of vertex, 1 of face, 12000000001 bytes or more, and 90 follow",
        ),
        ("a.ply", write.ply("binary")[:-1], "ends within the records of face"),
        ("a.ply", write.ply_mixed_binary()[:-1], "ends within the records of face"),
        ("a.stl", "", "promises 0 triangles, 84 bytes in all, and it has 0"),
        ("a.stl", write.stl()[:-1], "promises 6 triangles, 384 bytes in all, and it has 383"),
        ("a.stl", write.stl() + write.stl()[84:], "promises 6 triangles, and 6 more follow"),
        ("a.stl", 2 * write.stl(), "another file of 6 triangles follows its 6: split the two"),
        ("a.stl", 3 * write.stl(), "another file of 6 triangles follows its 6: split the two"),
        ("a.stl", bytes(80) + struct.pack("<I", 10**9) + bytes(50), "1000000000 triangles"),
        ("a.stl", bytes(84), "no faces"),
        ("a.stl", "solid a\nendsolid a\n", "no faces"),
        ("a.stl", write.stl_text()[:-12], "18 corners are not those of 5 whole"),
        ("a.stl", write.stl_text()[:800], "are not those of"),
        ("a.stl", write.stl_solids()[:-20], "18 corners are not those of 5 whole"),
        ("a.stl", write.stl_text().replace(b"vertex 0", b"vertex x", 1), "not three numbers"),
        ("a.glb", "", "does not start as GLB"),
        ("a.glb", write.glb()[:-1], "header promises 1012 bytes, and it has 1011"),
        ("a.glb", write.glb_of({})[:16] + b"XXXX{}  ", "no JSON chunk"),
        ("a.glb", b"glTF" + struct.pack("<II", 1, 20) + bytes(8), "version 1"),
        (
            "a.glb",
            struct.pack("<4sII", b"glTF", 2, 24) + struct.pack("<I", 2**31) + bytes(8),
            "chunk promises",
        ),
        ("a.glb", write.glb_of(write.gltf(buffers=[{"byteLength": 96}])), "neither content nor"),
        ("a.gltf", "", "damaged"),
        ("a.gltf", "[" * 100_000, "damaged"),
        ("a.gltf", "{}", "no faces"),
        ("a.gltf", write.gltf_bytes(scenes=[]), "damaged"),
        ("a.gltf", write.gltf_bytes(nodes=[{"children": [0]}]), "no faces"),
        ("a.gltf", write.gltf_bytes(nodes=[{"mesh": 0, "scale": [1e999, 1, 1]}]), "not finite"),
        ("a.gltf", write.gltf_bytes(nodes=[{"mesh": 0, "scale": [1e308, 1, 1]}]), "infinite"),
        ("a.gltf", write.gltf_bytes(mode=6), "triangle fans"),
        ("a.gltf", write.gltf_bytes(mode=1), "no faces"),
        ("a.gltf", write.gltf_bytes(indices=[0, 1, 2, 3]), "damaged"),
        ("a.gltf", write.gltf_bytes(indices=[0, 1, 9]), "names a vertex that is not there"),
        ("a.gltf", write.gltf_bytes(buffers=[{"byteLength": 9, "uri": "a.bin"}]), "is not there"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(
    tmp_path: Path, name: str, content: str | bytes, problem: str
):
    path = save(tmp_path, name, content)
    with pytest.raises(UserError, match=problem) as caught:
        read_surface(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def with_part(kind: str, row: int, **changes: object) -> bytes:
    parts = write.gltf()
    parts[kind][row] |= changes
    return json.dumps(parts).encode()


def compressed() -> bytes:
    parts = write.gltf()
    parts["meshes"][0]["primitives"][0]["extensions"] = {"KHR_draco_mesh_compression": {}}
    return json.dumps(parts).encode()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (with_part("accessors", 0, count=10**9), "promises 1000000000 items"),
        (with_part("accessors", 1, count=10**9), "promises 1000000000 items"),
        (with_part("accessors", 0, count=-1), "impossible numbers"),
        (with_part("accessors", 0, byteOffset=-4), "impossible numbers"),
        (with_part("accessors", 0, sparse={}), "sparsely or by an extension"),
        (with_part("accessors", 0, normalized=True), "fractions"),
        (with_part("accessors", 0, componentType=1), "damaged"),
        (with_part("bufferViews", 0, byteLength=10**9), "more than its buffers hold"),
        (with_part("bufferViews", 0, byteOffset=-1), "more than its buffers hold"),
        (with_part("bufferViews", 0, byteStride=1), "impossible numbers"),
        (with_part("bufferViews", 0, byteStride=10**9), "promises 5 items"),
        (compressed(), "KHR_draco_mesh_compression"),
    ],
)
def test_a_scene_that_promises_more_than_it_holds_is_refused(
    tmp_path: Path, content: bytes, problem: str
):
    with pytest.raises(UserError, match=problem):
        read_surface(save(tmp_path, "a.gltf", content))


def test_a_scene_that_multiplies_its_parts_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pc_crvae.data.formats.placed_parts.MOST_TRIANGLES", 100)
    parts = write.gltf(nodes=[{"children": [1] * 20}, {"mesh": 0}])
    parts["nodes"] = [{"children": list(range(1, 21))}, *[{"mesh": 0}] * 20]
    with pytest.raises(UserError, match="more than 100 triangles"):
        read_surface(save(tmp_path, "a.gltf", json.dumps(parts)))


def test_what_is_no_file_is_named(tmp_path: Path):
    (tmp_path / "folder.off").mkdir()
    os.mkfifo(tmp_path / "pipe.off")
    for name, problem in [
        ("none.off", "is missing"),
        ("folder.off", "is not a file"),
        ("pipe.off", "is not a file"),
        ("a.txt", r"no mesh that is read here: the suffixes are \.3mf, \.dae, \.glb"),
    ]:
        with pytest.raises(UserError, match=problem):
            read_surface(tmp_path / name)


def test_a_file_too_large_to_hold_is_not_opened(tmp_path: Path):
    huge = {}
    for name in ("a.off", "a.bin"):
        huge[name] = tmp_path / name
        with huge[name].open("wb") as file:
            file.truncate(2**31 + 1)  # of which the disk holds nothing
    with pytest.raises(UserError, match="2147483649 bytes, more than"):
        read_surface(huge["a.off"])
    parts = write.gltf_bytes(buffers=[{"byteLength": 96, "uri": "a.bin"}])
    with pytest.raises(UserError, match=r"buffer a\.bin has more than"):
        read_surface(save(tmp_path, "a.gltf", parts))


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_real_meshes_are_read_as_trimesh_reads_them(data_root: Path, every: int):
    paths = sorted((data_root / "modelnet_off").rglob("*.off"))
    paths += sorted((data_root / "psb_off").rglob("*.off"))[::6]
    assert len(paths) == 20
    for path in paths[::every]:
        surface = read_surface(path)
        oracle = trimesh.load_mesh(path, process=False)
        assert area(surface) == pytest.approx(oracle.area, rel=1e-12)
        assert len(surface.faces) + surface.repairs.get("degenerate faces", 0) == len(oracle.faces)


def wreck_scene(content: bytes, rng: np.random.Generator) -> bytes:
    """Change values of a scene's JSON, which damage to its bytes mostly makes unreadable."""
    parts = json.loads(content)
    for _ in range(rng.integers(1, 4)):
        holder: Any = parts
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = keys[int(rng.integers(len(keys)))]
            if isinstance(holder[key], dict | list) and rng.random() < 0.9:
                holder = holder[key]
                continue
            values: list[Any] = [
                0,
                -1,
                1,
                2,
                5,
                6,
                5125,
                2**31,
                10**12,
                0.5,
                None,
                "",
                [],
                {},
                [0] * 16,
            ]
            if rng.random() < 0.2:
                del holder[key]
            else:
                holder[key] = values[int(rng.integers(len(values)))]
            break
    return json.dumps(parts).encode()


def wreck_glb(content: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.5:
        return damaged(content, rng)
    size = int.from_bytes(content[12:16], "little")
    text, binary = content[20 : 20 + size], content[28 + size :]
    return write.glb_of(json.loads(wreck_scene(text, rng)), binary)


def wreck_3mf(content: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.3:
        return damaged(content, rng)
    text = damaged(write.model_text().encode(), rng)
    return write.threemf(text.decode("latin-1"))


WRECKS = {
    ".3mf": wreck_3mf,
    ".gltf": lambda content, rng: (damaged if rng.random() < 0.3 else wreck_scene)(content, rng),
    ".glb": wreck_glb,
}
IN_A_PROCESS = (".step", ".stp", ".iges", ".igs")
"""Fuzzed where they are tested, as each file takes a process."""

FUZZED_SUFFIXES = [suffix for suffix in MESH_SUFFIXES if suffix not in IN_A_PROCESS]
FUZZED = {**write.ONE_PYRAMID, **write.CONCAVE, **write.ODD, "scene.glb": write.glb()}


def is_valid(surface: Surface) -> None:
    assert np.isfinite(surface.vertices).all()
    assert 0 <= surface.faces.min() <= surface.faces.max() < len(surface.vertices)
    assert all(count > 0 for count in surface.repairs.values())


def read_and_draw(path: Path) -> Surface:
    surface = read_surface(path)
    sample = load_points(path, 16, np.random.default_rng(0))
    assert np.isfinite(sample.points).all()
    np.testing.assert_allclose(np.linalg.norm(sample.normals, axis=1), 1.0)
    return surface


def fuzz(folder: Path, suffix: str, seed: int, cases: int) -> None:
    import trimesh.exchange.gltf  # noqa: F401 - before memory is bounded

    read_surface(save(folder, "concave.off", write.CONCAVE["concave.off"]))  # so is what compiles

    files = {name: content for name, content in FUZZED.items() if name.endswith(suffix)}
    wreck = WRECKS.get(suffix, damaged)
    fuzz_files(files, read_and_draw, is_valid, folder, seed=seed, cases=cases, wreck=wreck)


@pytest.mark.parametrize("suffix", FUZZED_SUFFIXES)
@given(seed=st.integers(0, 2**63))
@settings(max_examples=8, deadline=None, derandomize=True)
def test_damage_is_refused_by_name_or_leaves_a_surface(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int
):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    fuzz(folder, suffix, seed, cases=5)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", FUZZED_SUFFIXES)
def test_much_damage_is_refused_by_name_or_leaves_a_surface(tmp_path: Path, suffix: str):
    fuzz(tmp_path, suffix, seed=1, cases=4000)


@pytest.mark.parametrize("name", write.CONCAVE)
def test_concave_faces_cover_what_they_bound(tmp_path: Path, name: str):
    path = save(tmp_path, name, write.CONCAVE[name])
    surface = read_surface(path)
    assert area(surface) == pytest.approx(write.CHANNEL_AREA)
    assert surface.repairs.get("self-crossing faces", 0) == 0
    points = load_points(path, 2000, np.random.default_rng(0)).points
    inside = (points[:, 0] > 1.01) & (points[:, 0] < 4.99) & (points[:, 1] > 1.01)
    assert not inside.any()


def test_self_crossing_and_degenerate_faces_are_counted(tmp_path: Path):
    corners = ["0 0 0", "1 1 0", "1 0 0", "0 1 0", "0 0 1"]
    text = "\n".join(["OFF", "5 3 0", *corners, "4 0 1 2 3", "2 0 1", "3 0 2 4"])
    surface = read_surface(save(tmp_path, "a.off", text))
    assert surface.repairs == {"self-crossing faces": 1, "degenerate faces": 1}


def test_a_comment_ends_with_its_line_whatever_it_ends_in(tmp_path: Path):
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\n{}\nf 1 2 3\nf 1 \\\n 2 4 # done \\\nf 1 3 4\n"
    for line in ("# C:\\parts\\", "g D:\\parts\\", "mtllib C:\\a\\", "usemtl b\\ # c \\"):
        surface = read_surface(save(tmp_path, "a.obj", text.format(line)))
        assert len(surface.faces) == 3, line


@pytest.mark.parametrize("name", write.ODD)
def test_odd_but_sound_files_are_read(tmp_path: Path, name: str):
    surface = read_surface(save(tmp_path, name, write.ODD[name]))
    assert area(surface) == pytest.approx(write.AREA)


@pytest.mark.parametrize(
    "text",
    [
        write.stl_text().replace(b"endsolid", b""),
        write.stl_text() + b"solid again\n",
        write.stl_text().replace(b"endsolid", b"solid more"),
        write.stl_text() + write.stl_text().split(b"\n", 1)[1],
    ],
)
def test_text_solids_that_are_not_whole_are_refused(tmp_path: Path, text: bytes):
    with pytest.raises(UserError, match="whole facets in solids"):
        read_surface(save(tmp_path, "a.stl", text))


def test_triangle_strips_of_ply_make_a_mesh_and_other_surfaces_are_named(tmp_path: Path):
    strips = write.ply_strips()
    assert has_faces(strips)
    assert len(read_surface(save(tmp_path, "a.ply", strips)).faces) == 6
    other = strips.replace(b"tristrips", b"trifans  ")
    assert has_faces(other)
    with pytest.raises(UserError, match="its surface is of 'trifans', not read: save faces"):
        read_surface(save(tmp_path, "a.ply", other))


def test_a_cloud_among_meshes_names_the_card_for_it(tmp_path: Path):
    with pytest.raises(UserError, match=r"no faces.*: as a cloud, it goes with the card cloud-fol"):
        read_surface(save(tmp_path, "a.ply", ply(faces=0)))
    with pytest.raises(UserError, match=r"no surface to draw points from$"):
        read_surface(save(tmp_path, "a.off", off(f"3 0 0\n{TRIANGLE}")))


@pytest.mark.parametrize(
    "name",
    [
        "EXT_mesh_gpu_instancing",
        "EXT_meshopt_compression",
        "KHR_draco_mesh_compression",
        "KHR_node_visibility",
        "ACME_anything",
    ],
)
def test_extensions_that_change_the_geometry_are_refused_by_name(tmp_path: Path, name: str):
    parts = write.gltf(extensionsRequired=["KHR_materials_unlit", name])
    for file, content in (("a.gltf", json.dumps(parts)), ("a.glb", write.glb_of(parts))):
        with pytest.raises(UserError, match=f"needs the extension {name}, which is not read"):
            read_surface(save(tmp_path, file, content))


def test_instances_are_refused_where_they_are_not_required_either(tmp_path: Path):
    parts = write.gltf(nodes=[{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {}}}])
    with pytest.raises(UserError, match="EXT_mesh_gpu_instancing"):
        read_surface(save(tmp_path, "a.gltf", json.dumps(parts)))


def test_extensions_of_materials_and_lights_do_no_harm(tmp_path: Path):
    names = ["KHR_materials_unlit", "KHR_texture_transform", "KHR_lights_punctual"]
    names += ["KHR_mesh_quantization", "EXT_texture_webp"]
    parts = write.gltf_bytes(extensionsRequired=names, extensionsUsed=names)
    assert len(read_surface(save(tmp_path, "a.gltf", parts)).faces) == 6


def test_a_mesh_whose_type_leaves_too_few_steps_is_refused(tmp_path: Path):
    far = write.VERTICES + np.array((431_000.0, 5_400_000.0, 100.0))
    names = ["a.stl", "b.ply", "c.off", "d.stl"]
    mesh = trimesh.Trimesh(far, write.FACES, process=False)
    files: list[str | bytes] = [mesh.export(file_type="stl"), mesh.export(file_type="ply")]
    lines = ["OFF\n5 6 0", *(f"{x} {y} {z}" for x, y, z in far)]
    files.append("\n".join([*lines, *(f"3 {a} {b} {c}" for a, b, c in write.FACES)]))
    single = trimesh.Trimesh(far.astype(np.float32).astype(float), write.FACES, process=False)
    files.append(single.export(file_type="stl_ascii"))
    for name, content in zip(names, files, strict=True):
        path = save(tmp_path, name, content)
        if name == "c.off":  # text in double precision
            assert area(read_surface(path)) == pytest.approx(write.AREA, rel=1e-6)
        else:
            with pytest.raises(UserError, match=r"so far from the origin.*only .* steps along"):
                read_surface(path)


def test_a_part_of_a_scene_is_as_precise_as_it_is_stored_and_no_less(tmp_path: Path):
    place = [431_000.0, 100.0, 5_400_000.0]
    near = write.gltf_bytes(nodes=[{"mesh": 0, "translation": place}])
    assert area(read_surface(save(tmp_path, "a.gltf", near))) == pytest.approx(write.AREA, rel=1e-6)
    parts = write.gltf()
    far = (write.VERTICES + place).astype("<f4").tobytes()
    content = far + write.FACES.astype("<u2").tobytes()
    uri = "data:application/octet-stream;base64," + base64.b64encode(content).decode()
    parts["buffers"] = [{"byteLength": len(content), "uri": uri}]
    with pytest.raises(UserError, match="steps along its longest side"):
        read_surface(save(tmp_path, "a.gltf", json.dumps(parts)))
