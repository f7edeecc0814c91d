"""Preparation: what comes out depends on files and recipe alone, and nothing done is lost."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import mesh_writers as write
from helpers.flaky_reader import COUNT, shapes
from helpers.preparing import content, entries, quiet, reads, run, spoil
from pc_crvae.data import load_clouds
from pc_crvae.data.cache import sealed_files, store, workers
from pc_crvae.data.cache.preparation import Recipe, Shapes, prepare
from pc_crvae.data.clouds import normalize
from pc_crvae.data.formats import meshes
from pc_crvae.data.items import Item, Listing
from pc_crvae.data.readers import mesh_folder
from pc_crvae.errors import UserError


@pytest.mark.usefixtures("in_this_process")
def test_clouds_are_drawn_normalised_and_indexed(root: Path):
    prepared = run(root)
    clouds = prepared.checked()
    assert clouds.points.shape == (COUNT, 64, 3)
    assert clouds.ids == tuple(f"s{row}" for row in range(COUNT))
    assert clouds.labels is not None
    assert clouds.labels.tolist() == [row % 3 for row in range(COUNT)]
    assert clouds.classes == ("a", "b", "c")
    np.testing.assert_allclose(clouds.points.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(clouds.points, axis=2).max(axis=1), 1, atol=1e-6)
    assert prepared.sources[3] == str(root / "shape_03.off")
    assert prepared.clouds.normals is None
    kept = np.load(prepared.entry / "points.npy", mmap_mode="r", allow_pickle=False)
    np.testing.assert_array_equal(kept, clouds.points)


@pytest.mark.usefixtures("in_this_process")
def test_centre_and_scale_lead_back_to_the_surface(root: Path):
    prepared = run(root, Recipe("y", points=256))
    for row, points in enumerate(prepared.clouds.points):
        placed = points * prepared.scales[row] + np.load(prepared.entry / "centres.npy")[row]
        x, y, z = placed.T
        source = np.stack((x, z, -y), axis=1)  # y up again
        corners = write.VERTICES * (1, 1 + row, 1)
        assert (source >= corners.min(axis=0) - 1e-5).all()
        assert (source <= corners.max(axis=0) + 1e-5).all()
        assert np.ptp(source, axis=0) == pytest.approx(np.ptp(corners, axis=0), rel=0.25)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_far_small_and_large_shapes_are_normalised_alike(scale: float):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3))

    def load(path: Path, count: int, rng: np.random.Generator) -> object:
        return workers.Sample(points * scale, None, {})

    task = workers.Task("key", "path", "id")
    values, arrays = workers.draw_shape(task, load, Recipe("z", points=50))
    np.testing.assert_allclose(arrays["points"], normalize(points[None])[0], atol=1e-6)
    centre = np.array(values["centre"])
    np.testing.assert_allclose(centre / scale, points.mean(axis=0), atol=1e-9)
    radius = np.linalg.norm(points - points.mean(axis=0), axis=1).max()
    assert values["scale"] / scale == pytest.approx(radius)


@pytest.mark.usefixtures("in_this_process")
def test_normals_are_kept_where_they_are_wanted(root: Path):
    prepared = run(root, Recipe("x", points=64, normals=True))
    normals = prepared.clouds.normals
    assert normals is not None
    assert normals.shape == (COUNT, 64, 3)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=2), 1, atol=1e-6)
    floor = normals[..., 0] > 0.99  # that looked along -z, and x is up
    placed = (
        prepared.clouds.points * prepared.scales[:, None, None]
        + np.load(prepared.entry / "centres.npy")[:, None]
    )
    assert floor.any()
    np.testing.assert_allclose(placed[floor][:, 0], 0, atol=1e-5)


def test_neither_order_nor_workers_nor_company_matter(root: Path):
    one = run(root, workers=2)
    backwards = run(root, rows=list(range(COUNT))[::-1], workers=3)
    np.testing.assert_array_equal(backwards.clouds.points[::-1], one.clouds.points)
    alone = run(root, rows=[5])
    np.testing.assert_array_equal(alone.clouds.points[0], one.clouds.points[5])


@pytest.mark.usefixtures("in_this_process")
def test_seeds_and_ids_make_other_points(root: Path):
    one = run(root)
    other = run(root, Recipe("z", points=64, seed=1))
    assert not np.array_equal(one.clouds.points, other.clouds.points)
    text = (root / "shape_00.off").read_text()
    spoil(root, 1, text)
    same = run(root, rows=[0, 1])
    assert not np.array_equal(same.clouds.points[0], same.clouds.points[1])


@pytest.mark.usefixtures("in_this_process")
def test_the_second_time_reads_no_file(root: Path):
    first = run(root)
    assert sorted(reads(root)) == [f"shape_{row:02d}.off" for row in range(COUNT)]
    again = run(root)
    assert len(reads(root)) == COUNT
    assert again.clouds.fingerprint() == first.clouds.fingerprint()
    base = again.clouds.points
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert base is not None


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("change", ["content", "another", "label", "gone"])
def test_a_set_that_changed_is_prepared_anew(root: Path, change: str):
    run(root, rows=[0, 1, 2])
    rows, labelled = [0, 1, 2], True
    match change:
        case "content":
            spoil(root, 1, (root / "shape_07.off").read_text())
        case "another":
            rows = [0, 1, 2, 3]
        case "label":
            labelled = False
        case "gone":
            (root / "shape_02.off").unlink()
    prepared = run(root, rows=rows, labelled=labelled)
    again = {"content": [1], "another": [3], "gone": [2], "label": []}[change]
    assert reads(root)[3:] == [f"shape_{row:02d}.off" for row in again]
    assert (prepared.clouds.labels is None) == (change == "label")
    assert len(prepared.rejected) == (change == "gone")


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("normals", [False, True])
def test_what_was_prepared_before_ends_in_the_same_bytes_as_what_was_not(
    root: Path, cache: Path, normals: bool
):
    recipe = Recipe("y", points=64, normals=normals)
    spoil(root, 1, "OFF\n4 3 0\n0 0 0\n1 0 0\n0 1 0\n0 1 0\n3 0 1 2\n3 0 1 1\n3 0 0 0\n")
    run(root, recipe, rows=[5, 1, 2])
    grown = run(root, recipe, rows=[0, 1, 2, 3])
    assert len(reads(root)) == 5
    assert grown.repairs == {"degenerate faces": (1, 2)}
    first = content(grown)
    shutil.rmtree(cache)
    assert content(run(root, recipe, rows=[0, 1, 2, 3])) == first
    assert len(reads(root)) == 9


@pytest.mark.usefixtures("in_this_process")
def test_an_older_state_stays_as_it_was_beside_the_newer_one(root: Path, cache: Path):
    first = run(root, rows=[0, 1])
    before = content(first)
    run(root, rows=[0, 1, 2])
    assert content(first) == before
    assert len(entries(cache)) == 2
    run(root, rows=[0, 1])
    assert len(reads(root)) == 3


@pytest.mark.usefixtures("in_this_process")
def test_nothing_is_taken_over_from_a_damaged_entry(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sealed_files, "ALWAYS_VERIFIED", 0)
    points = run(root, rows=[0, 1]).entry / "points.npy"
    status = points.stat()
    points.write_bytes(points.read_bytes()[:-1] + b"?")
    os.utime(points, ns=(status.st_atime_ns, status.st_mtime_ns))
    run(root, rows=[0, 1, 2])
    assert len(reads(root)) == 5


@pytest.mark.usefixtures("in_this_process")
def test_what_another_version_of_the_reader_read_is_read_again(root: Path):
    one = shapes(root, [0, 1])
    for version in (1, 2):
        prepare(
            replace(one, reader=version), Recipe("z", points=64), {"folder": "x"}, console=quiet()
        )
    assert len(reads(root)) == 4


@pytest.mark.usefixtures("in_this_process")
def test_what_was_prepared_in_another_format_is_drawn_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    run(root, rows=[0, 1])
    monkeypatch.setattr(store, "FORMAT", store.FORMAT + 1)
    run(root, rows=[0, 1, 2])
    assert len(reads(root)) == 5


@pytest.mark.usefixtures("in_this_process")
def test_files_that_were_refused_are_tried_again_when_others_are_added(root: Path):
    spoil(root, 1, "REFUSE")
    run(root, rows=[0, 1])
    assert len(run(root, rows=[0, 1, 2]).rejected) == 1
    assert sorted(reads(root)) == [f"shape_{row:02d}.off" for row in (0, 1, 1, 2)]


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("split_by_folder", [True, False])
def test_meshes_new_to_a_split_of_a_folder_are_the_only_ones_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split_by_folder: bool
):
    read: list[str] = []

    def load_points(path: Path, *how: Any) -> object:
        read.append(path.name)
        return mesh_folder_load(path, *how)

    mesh_folder_load = mesh_folder.load_points
    monkeypatch.setattr(mesh_folder, "load_points", load_points)
    root = tmp_path / "mine"
    folders = [root / "a" / "train", root / "a" / "test"] if split_by_folder else [root / "a"]

    def add(numbers: range) -> None:
        for number in numbers:
            folder = folders[number % len(folders)]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number:02d}.off").write_bytes(write.off())

    def load_both() -> dict[str, set[str]]:
        """Names of the files of each split, by what is loaded."""
        return {
            split: {
                f"{Path(name).name}.off"
                for name in load_clouds("mesh-folder", split, root=root).ids
            }
            for split in ("train", "test")
        }

    add(range(30))
    first = load_both()
    assert sorted(read) == [f"{number:02d}.off" for number in range(30)]
    add(range(30, 40))
    second = load_both()
    moved = sum(len(second[split] - first[split]) for split in first) - 10
    assert moved == (0 if split_by_folder else 1)  # where a fifth is the test split, from train
    assert sum(map(len, second.values())) == 40
    assert sorted(read[30:]) == sorted(
        (second["train"] - first["train"]) | (second["test"] - first["test"])
    )


@pytest.mark.usefixtures("in_this_process")
def test_refused_files_are_named_and_the_set_does_not_load_short_unasked(root: Path):
    bad = spoil(root, 2, "OFF\n1 1 0\nREFUSE")
    missing = root / "shape_04.off"
    missing.unlink()
    spoil(root, 6, "POINT")
    console = quiet()
    prepared = run(root, console=console)
    assert [rejection.id for rejection in prepared.rejected] == ["s2", "s4", "s6"]
    assert len(prepared.clouds) == COUNT - 3
    with pytest.raises(UserError, match=rf"3 of the 12 files .* the first as {bad}") as caught:
        prepared.checked()
    assert str(prepared.report) in str(caught.value)
    assert len(prepared.checked(allow_refused=True)) == COUNT - 3
    assert prepared.clouds.ids[2:4] == ("s3", "s5")
    report = json.loads(prepared.report.read_text())
    assert report["prepared"] == COUNT - 3
    assert [rejection["source"] for rejection in report["refused"]][:2] == [str(bad), str(missing)]
    assert "is missing" in report["refused"][1]["reason"]
    assert "one single point" in report["refused"][2]["reason"]
    assert report["passed_over"] == {"of another kind": [str(root / "notes.txt")]}
    said = console.file.getvalue()
    assert "9 shapes prepared, 3 files rejected" in said
    assert str(bad) in said
    with pytest.raises(UserError):  # nor later
        run(root).checked()


@pytest.mark.usefixtures("in_this_process")
def test_a_set_of_which_nothing_can_be_used_never_loads(root: Path):
    spoil(root, 0, "REFUSE")
    prepared = run(root, rows=[0])
    with pytest.raises(UserError, match="1 of the 1 files") as caught:
        prepared.checked(allow_refused=True)
    assert "allow_refused" not in str(caught.value)


@pytest.mark.usefixtures("in_this_process")
def test_repairs_are_counted_by_file(root: Path):
    text = "OFF\n4 3 0\n0 0 0\n1 0 0\n0 1 0\n0 1 0\n3 0 1 2\n3 0 1 1\n3 0 0 0\n"
    for row in (1, 2):
        spoil(root, row, text)
    prepared = run(root)
    assert prepared.repairs == {"degenerate faces": (2, 4)}
    told = json.loads(prepared.report.read_text())["repairs"]
    assert told == {"degenerate faces": {"files": 2, "count": 4}}
    assert "repaired: 4 degenerate faces in 2 files" in prepared.summary()


def test_a_file_that_crashes_its_reader_is_refused_and_the_rest_prepared(root: Path):
    bad = spoil(root, 3, "CRASH")
    prepared = run(root)
    assert [rejection.reason for rejection in prepared.rejected] == [
        f"{bad} ended the process that read it (SIGSEGV): is it too large?"
    ]
    assert len(prepared.clouds) == COUNT - 1


def test_an_error_of_the_code_is_not_taken_for_a_bad_file(
    root: Path, capfd: pytest.CaptureFixture[str]
):
    spoil(root, 3, "BUG")
    with pytest.raises(RuntimeError, match=r"a worker failed at .*shape_03\.off"):
        run(root)
    assert "ZeroDivisionError: an error of the code" in capfd.readouterr().err


@pytest.mark.parametrize("points", [0, 1, 16_385])
def test_a_count_of_points_out_of_range_is_refused(points: int):
    with pytest.raises(UserError, match="2 to 16384"):
        Recipe("z", points=points)


def test_normals_that_are_not_there_are_told(root: Path):
    task = workers.Task("key", str(root / "x"), "id")

    def load(path: Path, count: int, rng: np.random.Generator) -> object:
        return workers.Sample(rng.normal(size=(count, 3)), None, {})

    with pytest.raises(UserError, match="has no normals"):
        workers.draw_shape(task, load, Recipe("z", points=8, normals=True))


def test_meshes_of_real_size_are_prepared(data_root: Path):
    paths = sorted((data_root / "modelnet_off/ModelNet10").rglob("*.off"))
    real = Shapes(
        name="real",
        split="train",
        listing=Listing([Item(path, path.stem, None) for path in paths], ()),
        load_points=meshes.load_points,
        reader=1,
    )
    clouds = prepare(real, Recipe("z"), {}, workers=2, console=quiet()).checked()
    assert clouds.points.shape == (7, 2048, 3)
    assert len(np.unique(clouds.points.reshape(-1, 3), axis=0)) == 7 * 2048
