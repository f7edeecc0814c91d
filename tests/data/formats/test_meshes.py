"""Surfaces of mesh files, and the points drawn from them."""

import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from helpers import mesh_writers as write
from helpers.surfaces import area, save, sorted_triangles, triangles, volume
from pc_crvae.data.formats.meshes import load_points, read_surface
from pc_crvae.data.surface_sampling import surface_areas


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


def test_a_binary_ply_whose_faces_differ_but_fill_as_much_as_if_they_did_not(tmp_path: Path):
    faces = [(1, 2, 4), write.QUAD, (0, 1)]
    path = save(tmp_path, "a.ply", write.ply_mixed_binary(faces))
    assert area(read_surface(path)) == pytest.approx(
        2.0 + surface_areas(write.VERTICES[[(1, 2, 4)]]).item()
    )


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
