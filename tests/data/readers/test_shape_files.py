import hashlib
import os
import shutil
import tracemalloc

import numpy as np
import pytest
import trimesh

from pc_crvae.data import from_folder
from pc_crvae.data.clouds import normalize, turn_z_up
from pc_crvae.data.formats.meshes import read_surface
from pc_crvae.data.formats.registry import FORMATS
from pc_crvae.data.readers.shape_files import find_shape_files, load_shape
from pc_crvae.errors import UserError


def write_box(path, sides=(1.0, 2.0, 3.0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    trimesh.creation.box(extents=sides).export(path)
    return path


def write_cloud(path, points=50, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    cloud = np.random.default_rng(seed).normal(size=(points, 3)) * [1, 2, 3] + 7
    if path.suffix == ".npy":
        np.save(path, cloud)
    else:
        np.savetxt(path, cloud)
    return path


def test_folders_give_their_shapes_by_path_without_what_is_hidden_or_of_another_kind(tmp_path):
    shown = ["a.stl", "b/1.OFF", "b/2.off", "b/2.ply", "c.d.off"]
    for name in (*shown, ".hidden/x.off", "b/.y.off", "b/notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    found = find_shape_files([tmp_path])
    # Two that differ by their suffix alone keep it.
    assert [file.id for file in found] == ["a", "b/1", "b/2.off", "b/2.ply", "c.d"]
    assert [file.path for file in found] == [tmp_path / name for name in shown]
    assert {".off", ".obj", ".ply", ".glb", ".xyz", ".pcd", ".npy"} <= set(FORMATS)


def test_files_and_folders_may_be_given_together_and_twice(tmp_path, monkeypatch):
    write_box(tmp_path / "shapes" / "chair" / "1.off")
    write_box(tmp_path / "more" / "lamp.off")
    monkeypatch.chdir(tmp_path)
    places = [tmp_path / "shapes", tmp_path / "more" / "lamp.off", tmp_path / "shapes" / "chair"]
    assert [file.id for file in find_shape_files(places)] == ["chair/1", "lamp"]


def test_names_that_would_be_equal_are_the_paths_as_given(tmp_path, monkeypatch):
    write_box(tmp_path / "new" / "1.off")
    write_box(tmp_path / "old" / "1.off")
    monkeypatch.chdir(tmp_path)
    found = find_shape_files([tmp_path.joinpath("new").relative_to(tmp_path), tmp_path / "old"])
    assert [file.id for file in found] == ["new/1", f"{tmp_path.as_posix()}/old/1"]
    assert all(file.path.is_absolute() for file in found)


def test_places_without_shapes_are_refused(tmp_path):
    (tmp_path / "notes.md").write_text("")
    with pytest.raises(UserError, match="holds no shape: the suffixes read are"):
        find_shape_files([tmp_path])
    with pytest.raises(UserError, match=r"gone\.off is missing"):
        find_shape_files([tmp_path / "gone.off"])


def test_ids_are_those_of_a_set_of_the_same_folder(tmp_path):
    for name in ("train/a/1.off", "train/a/2.obj", "test/b/2.off", "test/b/2.stl"):
        write_box(tmp_path / name)
    ids = from_folder(tmp_path).ids
    assert sorted(ids) == sorted(file.id for file in find_shape_files([tmp_path]))


def test_a_link_that_leads_nowhere_is_named_itself(tmp_path):
    (tmp_path / "mine").mkdir()
    link, loop = tmp_path / "mine" / "link.off", tmp_path / "mine" / "loop.xyz"
    link.symlink_to("target.off")
    loop.symlink_to(loop)
    said = r"mine/link\.off is a link to target\.off, which is missing"
    with pytest.raises(UserError, match=said):
        find_shape_files([link])
    found = find_shape_files([tmp_path / "mine"])
    assert [file.path for file in found] == [link, loop]
    with pytest.raises(UserError, match=said):
        load_shape(link, 10, "z")
    with pytest.raises(UserError, match=said):
        read_surface(link)
    with pytest.raises(UserError, match=r"mine/loop\.xyz"):
        load_shape(loop, 10, "z")


def test_a_shape_behind_a_link_is_taken_once_and_goes_by_the_name_that_was_met_first(tmp_path):
    write_box(tmp_path / "elsewhere" / "box.off")
    (tmp_path / "mine").mkdir()
    for name in ("a.off", "b.off"):
        (tmp_path / "mine" / name).symlink_to(tmp_path / "elsewhere" / "box.off")
    (found,) = find_shape_files([tmp_path / "mine", tmp_path / "elsewhere"])
    assert (found.path, found.id) == (tmp_path / "mine" / "a.off", "a")


@pytest.mark.skipif(os.name == "nt", reason="names are UTF-16 there")
def test_a_name_that_is_not_utf_8_is_refused(tmp_path):
    os.close(os.open(os.fsencode(tmp_path) + b"/\xff.off", os.O_CREAT))
    with pytest.raises(UserError, match="not plain text in UTF-8"):
        find_shape_files([tmp_path])


@pytest.mark.parametrize("suffix", [".off", ".obj", ".ply", ".stl", ".glb"])
def test_a_mesh_is_sampled_and_normalised(tmp_path, suffix):
    points = load_shape(write_box(tmp_path / f"box{suffix}"), 500, "z")
    assert points.shape == (500, 3)
    assert points.dtype == np.float32
    corner = np.array([1, 2, 3]) / np.sqrt(14)
    np.testing.assert_allclose(np.abs(points).max(axis=0), corner, atol=0.03)
    on_a_side = np.isclose(np.abs(points), corner, atol=0.04).any(axis=1)
    assert on_a_side.all()


def test_the_up_axis_becomes_z(tmp_path):
    path = write_box(tmp_path / "box.off")
    upright, turned = load_shape(path, 300, "z"), load_shape(path, 300, "x")
    np.testing.assert_allclose(turn_z_up(upright, "x"), turned, atol=1e-6)
    assert np.ptp(turned[:, 2]) < np.ptp(upright[:, 2])


@pytest.mark.parametrize("suffix", [".npy", ".xyz"])
def test_a_cloud_is_normalised_whole_before_points_are_chosen(tmp_path, suffix):
    path = write_cloud(tmp_path / f"cloud{suffix}")
    whole = normalize((np.load(path) if suffix == ".npy" else np.loadtxt(path))[None])[0]
    for count in (20, 50, 200):
        points = load_shape(path, count, "z")
        assert points.shape == (min(count, 50), 3)
        distances = np.linalg.norm(points[:, None] - whole, axis=2)
        assert distances.min(axis=1).max() < 1e-6
        assert len(set(distances.argmin(axis=1))) == len(points)


def test_a_ply_file_is_a_mesh_where_it_has_faces_and_else_a_cloud(tmp_path):
    corners = trimesh.creation.box(extents=(1, 2, 3)).vertices
    trimesh.PointCloud(corners).export(tmp_path / "cloud.ply")
    write_box(tmp_path / "mesh.ply")
    assert len(load_shape(tmp_path / "cloud.ply", 100, "z")) == 8
    assert len(load_shape(tmp_path / "mesh.ply", 100, "z")) == 100


def test_the_draw_is_fixed_by_what_the_file_holds_and_not_by_its_name(tmp_path):
    path = write_box(tmp_path / "box.off")
    shutil.copy(path, tmp_path / "copy.off")
    np.testing.assert_array_equal(
        load_shape(path, 64, "z"), load_shape(tmp_path / "copy.off", 64, "z")
    )
    (tmp_path / "other.off").write_text(path.read_text() + "# another file\n")
    assert hashlib.sha256(path.read_bytes()) != hashlib.sha256(
        (tmp_path / "other.off").read_bytes()
    )
    assert not np.array_equal(
        load_shape(path, 64, "z"), load_shape(tmp_path / "other.off", 64, "z")
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.off", ""),
        ("empty.npy", ""),
        ("noise.ply", "ply\nformat ascii 1.0\nelement face 3\n"),
        ("line.xyz", "0 0 0\n0 0 0\n"),
        ("notes.md", "x"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=name):
        load_shape(tmp_path / name, 10, "z")


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    (tmp_path / "folder.off").mkdir()
    for name in ("gone.off", "folder.off"):
        with pytest.raises(UserError, match=name):
            load_shape(tmp_path / name, 10, "z")


def test_a_large_scan_takes_its_file_and_one_copy_of_its_points(tmp_path):
    count = 1_000_000
    scan = np.random.default_rng(0).random((count, 3), np.float32)
    np.save(tmp_path / "scan.npy", scan)
    del scan
    tracemalloc.start()
    try:
        cloud = load_shape(tmp_path / "scan.npy", 1024)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cloud.shape == (1024, 3)
    of_file, in_double_precision, parts = 12 * count, 24 * count, 8_000_000
    assert peak < of_file + in_double_precision + parts
