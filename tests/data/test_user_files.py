"""Files as users have them: the kinds of trouble that people report of such tools.

Where a folder of such files is there, named by PC_CRVAE_CASES or ``cases`` beside the folder of
real data, its files are read as well.
"""

import os
import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from helpers import cloud_writers, mesh_writers
from pc_crvae.data import from_folder, load
from pc_crvae.data.cards import load_card
from pc_crvae.data.formats.cloud_files import read_cloud
from pc_crvae.data.formats.hdf5 import file_and_row, read_part
from pc_crvae.data.formats.meshes import read_surface
from pc_crvae.data.formats.other_kinds import tell_passed_over
from pc_crvae.data.readers.shape_files import find_shapes, load_shape
from pc_crvae.data.surface_sampling import surface_areas
from pc_crvae.errors import UserError

POINTS = np.random.default_rng(1).normal(size=(60, 3))


@pytest.fixture(scope="session")
def cases() -> Path:
    data = os.environ.get("PC_CRVAE_DATA")
    beside = str(Path(data).parent / "cases") if data else ""
    root = Path(os.environ.get("PC_CRVAE_CASES", beside) or "nowhere")
    if not (root / "README.md").is_file():
        pytest.skip("neither PC_CRVAE_CASES nor PC_CRVAE_DATA leads to a folder of such files")
    return root


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("comment_continued.obj", 22),
        ("end_solid.stl", 22),
        ("bin_tail.stl", 22),
        ("concave_ends.obj", 34),
        ("tristrips.ply", 22),
        ("side_table/box.ply", 22),
    ],
)
def test_meshes_of_users_are_read(cases: Path, name: str, area: float):
    surface = read_surface(cases / name)
    assert surface_areas(surface.vertices[surface.faces]).sum() == pytest.approx(area)
    assert len(load_shape(cases / name, 100)) == 100  # and never a cloud of eight corners


@pytest.mark.parametrize(
    ("name", "extent"),
    [
        ("paraview.csv", (1.974, 3.99, 5.962)),
        ("pandas_header.csv", (1.974, 3.99, 5.962)),
        ("utm64.npy", (0.395, 0.798, 1.192)),
    ],
)
def test_clouds_of_users_are_read(cases: Path, name: str, extent: tuple[float, ...]):
    points = read_cloud(cases / name)
    assert points.shape == (300, 3)
    np.testing.assert_allclose(np.ptp(points, axis=0), extent, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("transposed.npy", "is it transposed"),
        ("utm32.npy", "only 2 steps"),
        ("instanced.glb", "EXT_mesh_gpu_instancing"),
        ("side_table/sizes.csv", "columns id, width, height, price"),
    ],
)
def test_files_of_users_are_refused_by_name(cases: Path, name: str, problem: str):
    with pytest.raises(UserError, match=problem):
        load_shape(cases / name, 100)


def test_folders_of_users_are_read_or_refused_by_name(cases: Path):
    with pytest.raises(UserError, match="folder templates beside test, train"):
        from_folder(cases / "split_and_stray_folder")
    assert [file.id for file in find_shapes([cases / "side_table"]).files] == ["box"]
    clouds = from_folder(cases / "clouds_and_readme", kind="cloud")
    assert (clouds.classes, len(clouds)) == (("chair", "lamp"), 10)
    for split in ("train", "test"):
        listed = load("modelnet40", split, root=cases / "windows_lists")
        assert set(listed.classes) == {"chair", "table", "lamp"}


def write_lists(root: Path, line: str, encoding: str = "utf-8") -> None:
    root.mkdir()
    with h5py.File(root / "ply_data_train0.h5", "w") as file:
        file["data"] = np.stack([POINTS, POINTS + 1]).astype(np.float32)
        file["label"] = np.array([[0], [1]], np.uint8)
    (root / "ply_data_train_0_id2file.json").write_text(
        '["bed\\\\bed_0001.ply", "chair\\\\chair_0002.ply"]', encoding=encoding
    )
    classes = "\n".join(load_card("modelnet40").classes)
    (root / "shape_names.txt").write_text(classes, encoding=encoding)
    (root / "train_files.txt").write_text(f"{line}\n", encoding=encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_that_windows_wrote_are_read(tmp_path: Path, encoding: str):
    write_lists(tmp_path / "set", "data\\modelnet\\ply_data_train0.h5", encoding)
    items = load("modelnet40", "train", root=tmp_path / "set")
    assert items.ids == ("bed_0001", "chair_0002")
    assert items.classes[0] == "airplane"


def test_a_file_that_another_process_writes_is_no_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_lists(tmp_path / "set", "ply_data_train0.h5")

    def locked(*_: object) -> None:
        raise BlockingIOError(11, "unable to lock file, errno = 11")

    monkeypatch.setattr(h5py, "File", locked)
    with pytest.raises(UserError, match=r"is locked by another process.*HDF5_USE_FILE_LOCKING"):
        read_part(tmp_path / "set" / "ply_data_train0.h5", file_and_row)


def test_tables_beside_meshes_are_no_shapes_unless_named(tmp_path: Path):
    (tmp_path / "meshes" / "deep").mkdir(parents=True)
    (tmp_path / "clouds").mkdir()
    for name in ("meshes/box.off", "meshes/deep/rod.OFF"):
        (tmp_path / name).write_bytes(mesh_writers.off())
    table = cloud_writers.text(POINTS, ",")
    tables = [tmp_path / "sizes.csv", tmp_path / "meshes" / "a.txt"]
    for path in (*tables, tmp_path / "clouds" / "c.txt", tmp_path / "meshes" / "d.xyz"):
        path.write_bytes(table)
    found = find_shapes([tmp_path])
    assert [file.id for file in found.files] == [
        "clouds/c",
        "meshes/box",
        "meshes/d",
        "meshes/deep/rod",
    ]
    assert set(found.passed_over["a table beside meshes"]) == set(tables)
    assert [file.id for file in find_shapes([tables[0]]).files] == ["sizes"]


def test_points_that_were_not_measured_are_left_out_where_one_asks(tmp_path: Path):
    spoiled = POINTS.copy()
    spoiled[[3, 7], 1] = np.nan
    spoiled[9, 0] = np.inf
    for part in ("train", "test"):
        (tmp_path / "set" / part).mkdir(parents=True)
        np.save(tmp_path / "set" / part / "a.npy", spoiled)
    with pytest.raises(UserError, match=r"NaN or infinite in point 3 .*left out by drop_nan"):
        from_folder(tmp_path / "set", "train", kind="cloud")
    clouds = from_folder(tmp_path / "set", "train", kind="cloud", drop_nan=True)
    assert len(clouds) == 1
    assert np.isfinite(clouds.points[0]).all()
    left_out: list[int] = []
    shape = load_shape(tmp_path / "set" / "train" / "a.npy", 99, unmeasured=left_out.append)
    assert (len(shape), left_out) == (57, [3])
    np.save(tmp_path / "none.npy", np.full((9, 3), np.nan))
    with pytest.raises(UserError, match="holds no points"):
        load_shape(tmp_path / "none.npy", 9, unmeasured=left_out.append)
    with pytest.raises(UserError, match="drop_nan is for folders of clouds"):
        from_folder(tmp_path / "set", kind="mesh", drop_nan=True)


def test_what_is_left_out_is_counted_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture):
    spoiled = POINTS.copy()
    spoiled[5] = np.nan
    (tmp_path / "set").mkdir()
    for name in "abcde":
        np.save(tmp_path / "set" / f"{name}.npy", spoiled)
    (tmp_path / "set" / "part.sldprt").touch()
    from_folder(tmp_path / "set", "train", kind="cloud", drop_nan=True)
    said = capsys.readouterr().err
    assert "repaired: 4 points not measured in 4 files" in said
    assert "passed over: 1 files of another kind: .sldprt 1 (export as ST" in said


def test_other_kinds_are_counted_with_advice_first():
    paths = [Path(name) for name in ("a.SLDPRT", "b.sldprt", "c.md", "d.las", "e.zip", "Makefile")]
    (line,) = tell_passed_over({"of another kind": tuple(paths)})
    assert line.startswith("passed over: 6 files of another kind: .sldprt 2 (export as ST")
    assert ".las 1 (export as PLY or PCD), .zip 1 (unpack it)" in line
    assert line.index(".zip") < line.index(".md 1")
    assert "Makefile 1" in line


def test_embedding_and_training_walk_a_tree_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = tmp_path / "set"
    names = ["a/1.off", "a/2.off", "b/3.off", "b/4.off", ".hidden/5.off", "a/.6.off"]
    names += ["__MACOSX/a/7.off", "cache/x-train/8.off"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(mesh_writers.off())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "9.off").write_bytes(mesh_writers.off())
    (root / "c").symlink_to(tmp_path / "elsewhere")
    (root / "b" / "again.off").symlink_to(root / "a" / "1.off")
    (root / "b" / "round").symlink_to(root)
    monkeypatch.setenv("PC_CRVAE_CACHE", str(root / "cache"))
    found = find_shapes([root])
    assert [file.id for file in found.files] == ["a/1", "a/2", "b/3", "b/4", "c/9"]
    assert sorted(from_folder(root).ids) == [file.id for file in found.files]
    assert found.passed_over["a file met before"] == (root / "b" / "again.off",)


def test_a_buffer_beside_a_scene_makes_a_set_stale(tmp_path: Path):
    for part in ("train", "test"):
        (tmp_path / "set" / part).mkdir(parents=True)
        for name, content in mesh_writers.pyramid().scene().export(file_type="gltf").items():
            (tmp_path / "set" / part / name.replace("model", "shape")).write_bytes(content)
    before = from_folder(tmp_path / "set", "train").points[0].copy()
    again = from_folder(tmp_path / "set", "train").points[0]
    np.testing.assert_array_equal(before, again)
    places = np.asarray(mesh_writers.VERTICES, "<f4").tobytes()
    files = (tmp_path / "set" / "train").iterdir()
    (buffer,) = (path for path in files if places in path.read_bytes())
    assert buffer.suffix == ".bin"
    flat = (mesh_writers.VERTICES * (1, 1, 0.1)).astype("<f4").tobytes()
    buffer.write_bytes(buffer.read_bytes().replace(places, flat))
    after = from_folder(tmp_path / "set", "train").points[0]
    assert not np.allclose(before, after)


def test_a_validation_folder_validates(tmp_path: Path):
    from pc_crvae.data import load_training

    for part, count in (("train", 3), ("val", 2), ("test", 2)):
        for name in ("chair", "lamp"):
            (tmp_path / part / name).mkdir(parents=True)
            for row in range(count):
                text = mesh_writers.off() + f"# {part} {row}\n".encode()
                (tmp_path / part / name / f"{row}.off").write_bytes(text)
    train, validation = load_training("mesh-folder", 0.1, root=tmp_path)
    assert (len(train), len(validation)) == (6, 4)
    assert (train.split, validation.split) == ("train", "validation")
    assert all(name.startswith("val/") for name in validation.ids)
    shutil.rmtree(tmp_path / "val")
    train, validation = load_training("mesh-folder", 0.34, root=tmp_path)
    assert (len(train), len(validation)) == (4, 2)
    assert all(name.startswith("train/") for name in validation.ids)


def test_a_folder_around_images_is_looked_through_with_a_note(tmp_path: Path):
    from PIL import Image

    for name in ("cat", "dog"):
        (tmp_path / "wrap" / name).mkdir(parents=True)
        for row in range(5):
            pixels = np.full((4, 4, 3), row * 9, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "wrap" / name / f"{row}.png")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        images = from_folder(tmp_path, "train", kind="image")
    assert images.classes == ("cat", "dog")
    assert any("wrap is looked through" in str(warning.message) for warning in told)
