"""Mesh files that cannot be used are refused, each in one sentence."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from helpers import mesh_writers as write
from helpers.surfaces import area, save
from pc_crvae.data.formats.meshes import read_surface
from pc_crvae.data.formats.ply import has_faces
from pc_crvae.errors import UserError

PLY_HEAD = (
    "ply\nformat {} 1.0\nelement vertex {}\nproperty float x\nproperty float y\nproperty float z\n"
)
PLY_TAIL = "element face {}\nproperty list uchar int vertex_indices\nend_header\n"


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
