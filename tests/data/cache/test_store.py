"""Prepared splits are kept on disk, and what is kept is never what it should not be."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers.kept_sets import (
    assert_same,
    change_points,
    entries,
    is_mapped,
    load_train,
    only_entry,
    small_card,
    spoil_unseen,
)
from pc_crvae.data import load, split_validation
from pc_crvae.data.cache.store import cache_folder
from pc_crvae.data.procedural import shapes
from pc_crvae.errors import UserError


def test_the_second_load_reads_no_source_and_gives_the_same(hdf5_root: Path, cache: Path):
    first = load_train(hdf5_root)
    for path in hdf5_root.iterdir():
        spoil_unseen(path)
    second = load_train(hdf5_root)
    assert_same(first, second)
    shutil.rmtree(cache)
    with pytest.raises(UserError):
        load_train(hdf5_root)


def test_what_is_kept_is_what_the_reader_gives(
    hdf5_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    kept = [load_train(hdf5_root), load_train(hdf5_root)]
    (tmp_path / "a file").touch()
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "a file"))
    with pytest.warns(UserWarning, match="is not kept"):
        in_memory = load_train(hdf5_root)
    assert not is_mapped(in_memory)
    for clouds in kept:
        assert_same(clouds, in_memory)


def test_numpy_reads_the_points_of_an_entry(hdf5_root: Path, cache: Path):
    points = load_train(hdf5_root).points
    np.testing.assert_array_equal(
        np.load(only_entry(cache) / "points.npy", allow_pickle=False), points
    )


def test_points_are_mapped_and_read_only_from_the_first_load_on(hdf5_root: Path):
    for _ in range(2):
        clouds = load_train(hdf5_root)
        assert is_mapped(clouds)
        assert type(clouds.points) is np.ndarray
        with pytest.raises(ValueError, match="read-only"):
            clouds.points[0] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            clouds.points.flags.writeable = True


def test_the_validation_split_is_cut_without_copying(hdf5_root: Path):
    whole = load_train(hdf5_root)
    for part in split_validation(whole, 0.4):
        assert all(np.shares_memory(part.points[row], whole.points) for row in range(len(part)))


def test_generated_shapes_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = load(small_card(tmp_path), "train")
    monkeypatch.delattr(shapes, "make_shapes")
    assert_same(first, load(small_card(tmp_path), "train"))


@pytest.mark.parametrize(
    "changes",
    [
        {"points": 33},
        {"up": "y"},
        {"splits": {"train": {"count": 40, "seed": 3}}},
        {"splits": {"train": {"count": 41, "seed": 0}}},
    ],
)
def test_another_recipe_makes_other_shapes_beside_the_first(
    tmp_path: Path, cache: Path, changes: dict[str, object]
):
    first = load(small_card(tmp_path), "train")
    other = load(small_card(tmp_path, **changes), "train")
    assert first.fingerprint() != other.fingerprint()
    assert len(entries(cache)) == 2
    assert_same(first, load(small_card(tmp_path), "train"))


def test_splits_and_up_axes_lie_apart(hdf5_root: Path, cache: Path):
    loads = [("train", None), ("test", None), ("train", "z"), ("train", "y")]  # y is the card's
    prints = [load("modelnet40", split, root=hdf5_root, up=up).fingerprint() for split, up in loads]
    assert len(set(prints)) == 3 == len(entries(cache))
    assert prints[0] == prints[3]


def test_the_same_folder_is_the_same_entry_however_it_is_named(
    hdf5_root: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "link").symlink_to(hdf5_root)
    load_train(hdf5_root)
    for path in hdf5_root.iterdir():
        spoil_unseen(path)
    monkeypatch.chdir(hdf5_root)
    for root in (Path(), Path("..") / hdf5_root.name, tmp_path / "link"):
        assert is_mapped(load_train(root))
    assert only_entry(cache)


def test_a_set_in_use_outlives_its_entry(hdf5_root: Path, cache: Path):
    clouds = load_train(hdf5_root)
    before = clouds.fingerprint()
    change_points(hdf5_root)
    load_train(hdf5_root)
    shutil.rmtree(cache)
    assert clouds.fingerprint() == before


def test_a_cache_that_cannot_be_written_is_told_once_and_loading_goes_on(
    hdf5_root: Path, tmp_path: Path
):
    (tmp_path / "a file").touch()
    code = (
        "import sys; from pathlib import Path; from pc_crvae.data import load\n"
        "for split in ('train', 'test', 'train'):\n"
        "    print(len(load('modelnet40', split, root=Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(hdf5_root)],
        env=os.environ | {"PC_CRVAE_CACHE": str(tmp_path / "a file" / "cache")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["9", "3", "9"]
    assert done.stderr.count("prepared data is not kept") == 1
    assert "cannot be written: Not a directory" in done.stderr
    assert "$PC_CRVAE_CACHE" in done.stderr


def test_a_full_disk_leaves_nothing_behind(
    hdf5_root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="cannot be written: No space left on device"):
        clouds = load_train(hdf5_root)
    assert len(clouds) == 9
    assert entries(cache) == []


def test_processes_that_prepare_at_once_all_get_the_set_and_leave_one_entry(
    hdf5_root: Path, cache: Path, tmp_path: Path
):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from pc_crvae.data import load; from pc_crvae.data.readers import modelnet_hdf5\n"
        "Path(sys.argv[2]).touch()\n"
        "while not Path(sys.argv[3]).exists(): time.sleep(0.001)\n"
        "print(load('modelnet40', 'train', root=Path(sys.argv[1])).fingerprint())"
    )
    start = tmp_path / "start"
    ready = [tmp_path / f"ready{number}" for number in range(4)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, hdf5_root, path, start],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for path in ready
    ]
    while not all(path.exists() for path in ready):
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    start.touch()
    said = [process.communicate(timeout=600) for process in processes]
    assert said == [(load_train(hdf5_root).fingerprint() + "\n", "")] * 4
    assert is_mapped(load_train(hdf5_root))
    assert only_entry(cache)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"PC_CRVAE_CACHE": "/named", "XDG_CACHE_HOME": "/xdg"}, "/named"),
        ({"PC_CRVAE_CACHE": "~/named"}, "/home/me/named"),
        ({"PC_CRVAE_CACHE": "", "XDG_CACHE_HOME": "/xdg"}, "/xdg/pc_crvae"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/pc_crvae"),
        ({"XDG_CACHE_HOME": ""}, "/home/me/.cache/pc_crvae"),
        ({}, "/home/me/.cache/pc_crvae"),
    ],
)
def test_where_the_cache_lies(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
):
    for name in ("PC_CRVAE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


def test_without_a_home_folder_nothing_is_kept(hdf5_root: Path, monkeypatch: pytest.MonkeyPatch):
    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("PC_CRVAE_CACHE", "~nobody/cache")
    monkeypatch.setattr(Path, "expanduser", no_home)
    monkeypatch.setattr("pc_crvae.data.loading.find_root", lambda card, root: root)
    with pytest.warns(UserWarning, match="is not kept.*home directory"):
        assert len(load_train(hdf5_root)) == 9
