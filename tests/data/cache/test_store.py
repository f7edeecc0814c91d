"""Prepared splits are kept on disk, and what is kept is never what it should not be."""

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from pc_crvae.data import CloudSet, load, load_card, split_validation
from pc_crvae.data.cache import damage, sealed_files, store
from pc_crvae.data.cache.store import cache_folder
from pc_crvae.data.procedural import shapes
from pc_crvae.data.readers import modelnet_hdf5
from pc_crvae.data.readers import shapes as shapes_reader
from pc_crvae.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own."""
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def small_card(folder: Path, **changes: object) -> Path:
    card = load_card("shapes").model_dump(mode="json")
    card |= {"name": "small", "points": 32}
    card["splits"] = {"train": {"count": 40, "seed": 0}, "test": {"count": 20, "seed": 1}}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(card | changes))
    return path


def load_train(root: Path) -> CloudSet:
    return load("modelnet40", "train", root=root)


def entries(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.suffix != ".lock"] if cache.exists() else []


def only_entry(cache: Path) -> Path:
    (entry,) = entries(cache)
    return entry


def is_mapped(clouds: CloudSet) -> bool:
    base = clouds.points
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    return base is not None


def spoil_unseen(path: Path) -> None:
    """Overwrite a file so that only reading it would tell."""
    status = path.stat()
    path.write_bytes(b"?" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def write_clouds(path: Path, scale: float = 1.0) -> None:
    """Write two other clouds of 16 points with their labels."""
    points = scale * np.random.default_rng(5).normal(size=(2, 16, 3)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = points, np.zeros((2, 1), np.uint8)


def assert_same(one: CloudSet, other: CloudSet) -> None:
    assert one.fingerprint() == other.fingerprint()
    assert (one.name, one.split, one.classes) == (other.name, other.split, other.classes)
    np.testing.assert_array_equal(one.labels, other.labels)


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


def change_points(root: Path) -> None:
    write_clouds(root / "ply_data_train1.h5")
    (root / "ply_data_train_1_id2file.json").write_text('["chair_1.ply", "chair_2.ply"]')


def change_ids(root: Path) -> None:
    (root / "ply_data_train_0_id2file.json").write_text(json.dumps([f"b_{i}" for i in range(6)]))


def remove_ids(root: Path) -> None:
    (root / "ply_data_train_0_id2file.json").unlink()


def change_classes(root: Path) -> None:
    (root / "shape_names.txt").write_text("bathtub\nbed\nsofa\n")


def shorten_list(root: Path) -> None:
    (root / "train_files.txt").write_text("ply_data_train0.h5\n")


def hide_behind_a_nearer_file(root: Path) -> None:
    (root / "data" / "stale").mkdir(parents=True)
    write_clouds(root / "data" / "stale" / "ply_data_train1.h5")


@pytest.mark.parametrize(
    "change",
    [
        change_points,
        change_ids,
        remove_ids,
        change_classes,
        shorten_list,
        hide_behind_a_nearer_file,
    ],
)
def test_a_changed_source_is_prepared_anew_beside_the_old(
    hdf5_root: Path, cache: Path, change: Callable[[Path], None]
):
    before = load_train(hdf5_root)
    old = only_entry(cache)
    content = {path: path.read_bytes() for path in old.iterdir()}
    change(hdf5_root)
    after = load_train(hdf5_root)
    assert (before.fingerprint(), before.classes) != (after.fingerprint(), after.classes)
    assert_same(after, load_train(hdf5_root))
    assert is_mapped(after)
    assert len(entries(cache)) == 2
    assert {path: path.read_bytes() for path in old.iterdir()} == content


def test_a_list_of_meshes_that_turns_up_later_is_read(hdf5_root: Path):
    id_list = hdf5_root / "ply_data_train_1_id2file.json"
    text = id_list.read_text()
    id_list.unlink()
    assert load_train(hdf5_root).ids[-1] == "ply_data_train1/2"
    id_list.write_text(text)
    assert load_train(hdf5_root).ids[-1] == "train1_2"


def test_a_source_changed_while_it_is_read_is_prepared_anew(
    hdf5_root: Path, monkeypatch: pytest.MonkeyPatch
):
    from pc_crvae.data.readers import modelnet_hdf5

    read_split = modelnet_hdf5.read_split

    def read_and_change(root: Path, split: str, card: object) -> object:
        raw = read_split(root, split, card)
        change_points(root)
        return raw

    monkeypatch.setattr(modelnet_hdf5, "read_split", read_and_change)
    assert len(load_train(hdf5_root)) == 9
    monkeypatch.undo()
    assert len(load_train(hdf5_root)) == 8


def test_a_source_that_is_gone_is_refused_as_ever(hdf5_root: Path):
    load_train(hdf5_root)
    (hdf5_root / "ply_data_train1.h5").unlink()
    with pytest.raises(UserError, match=r"ply_data_train1\.h5 is missing, though train_files"):
        load_train(hdf5_root)


def test_what_is_refused_is_not_kept(hdf5_root: Path, cache: Path):
    (hdf5_root / "shape_names.txt").write_text("bathtub\nbed\nspaceship\n")
    for _ in range(2):
        with pytest.raises(UserError, match="spaceship"):
            load_train(hdf5_root)
    assert entries(cache) == []


def test_entries_of_another_format_are_made_anew(hdf5_root: Path, monkeypatch: pytest.MonkeyPatch):
    load_train(hdf5_root)
    for path in hdf5_root.iterdir():
        spoil_unseen(path)
    monkeypatch.setattr(store, "FORMAT", store.FORMAT + 1)
    with pytest.raises(UserError):
        load_train(hdf5_root)


def test_a_reader_of_another_version_reads_anew(hdf5_root: Path, monkeypatch: pytest.MonkeyPatch):
    load_train(hdf5_root)
    for path in hdf5_root.iterdir():
        spoil_unseen(path)
    monkeypatch.setattr(modelnet_hdf5, "VERSION", modelnet_hdf5.VERSION + 1)
    with pytest.raises(UserError):
        load_train(hdf5_root)


def test_a_generator_of_another_version_makes_its_shapes_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    card = small_card(tmp_path)
    load(card, "train")
    monkeypatch.setattr(shapes_reader, "VERSION", shapes_reader.VERSION + 1)
    monkeypatch.delattr(shapes, "make_shapes")
    with pytest.raises(ImportError):
        load(card, "train")


def test_a_reader_of_another_version_leaves_other_layouts_as_they_are(
    hdf5_root: Path, monkeypatch: pytest.MonkeyPatch
):
    load_train(hdf5_root)
    for path in hdf5_root.iterdir():
        spoil_unseen(path)
    monkeypatch.setattr(shapes_reader, "VERSION", shapes_reader.VERSION + 1)
    assert len(load_train(hdf5_root)) == 9


def rewrite(path: Path, content: bytes) -> None:
    """Change a file as damage would: at another time than it was written."""
    path.write_bytes(content)
    os.utime(path)


def rewrite_unseen(path: Path, content: bytes) -> None:
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1
    return bytes(changed)


DAMAGES = {
    "empty": lambda content: b"",
    "a few bytes": lambda content: content[:5],
    "cut in the middle": lambda content: content[: len(content) // 2],
    "cut by a byte": lambda content: content[:-1],
    "longer by a byte": lambda content: content + b"?",
    "zeros": lambda content: bytes(len(content)),
    "other JSON": lambda content: b"{}",
    "a flipped bit at the start": lambda content: flipped(content, 3),
    "a flipped bit near the end": lambda content: flipped(content, -20),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("write", [rewrite, rewrite_unseen])
@pytest.mark.parametrize("file", ["record.json", "points.npy", "labels.npy"])
def test_a_damaged_entry_is_told_and_made_anew(
    hdf5_root: Path, cache: Path, damage: str, write: Callable[[Path, bytes], None], file: str
):
    first = load_train(hdf5_root).fingerprint()
    entry = only_entry(cache)
    write(entry / file, DAMAGES[damage]((entry / file).read_bytes()))
    with pytest.warns(UserWarning, match=rf"{entry} is damaged \({file} .*made anew"):
        again = load_train(hdf5_root)
    assert again.fingerprint() == first
    assert is_mapped(again)
    assert only_entry(cache) == entry
    inode = entry.stat().st_ino
    load_train(hdf5_root)
    assert entry.stat().st_ino == inode


def test_an_entry_that_lacks_a_file_is_made_anew(hdf5_root: Path, cache: Path):
    first = load_train(hdf5_root).fingerprint()
    for name in ("points.npy", "record.json"):
        (only_entry(cache) / name).unlink()
        with pytest.warns(UserWarning, match=f"is damaged .*{name}"):
            assert load_train(hdf5_root).fingerprint() == first


def test_a_flipped_bit_in_a_large_array_shows_by_the_time_of_the_change(
    hdf5_root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sealed_files, "ALWAYS_VERIFIED", 100)
    first = load_train(hdf5_root).fingerprint()
    points = only_entry(cache) / "points.npy"
    rewrite(points, flipped(points.read_bytes(), 300))
    with pytest.warns(UserWarning, match=r"points\.npy is not as it was written"):
        assert load_train(hdf5_root).fingerprint() == first


def test_a_copy_of_an_entry_is_as_good(
    hdf5_root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sealed_files, "ALWAYS_VERIFIED", 100)
    first = load_train(hdf5_root).fingerprint()
    entry = only_entry(cache)
    shutil.copytree(entry, cache / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(entry)
    (cache / "copy").rename(entry)
    for path in hdf5_root.iterdir():
        spoil_unseen(path)
    assert load_train(hdf5_root).fingerprint() == first


def test_the_record_holds_the_digest_of_each_file(hdf5_root: Path, cache: Path):
    load_train(hdf5_root)
    entry = only_entry(cache)
    about = json.loads((entry / "record.json").read_text())["content"]["arrays"]
    assert {f"{name}.npy" for name in about} == {path.name for path in entry.glob("*.npy")}
    for name, values in about.items():
        content = (entry / f"{name}.npy").read_bytes()
        assert values["sha256"] == hashlib.sha256(content).hexdigest()


def test_nothing_pickled_is_loaded_even_where_the_record_vouches_for_it(
    hdf5_root: Path, cache: Path
):
    first = load_train(hdf5_root).fingerprint()
    entry = only_entry(cache)
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    rewrite_unseen(entry / "points.npy", pickled.getvalue())
    content = json.loads((entry / "record.json").read_text())["content"]
    content["arrays"]["points"] |= {
        "bytes": len(pickled.getvalue()),
        "sha256": hashlib.sha256(pickled.getvalue()).hexdigest(),
        "dtype": "|O",
        "shape": [1],
    }
    rest = '"content": ' + json.dumps(content) + "}\n"
    digest = hashlib.sha256(rest.encode()).hexdigest()
    (entry / "record.json").write_text(f'{{"sha256": "{digest}",\n{rest}')
    with pytest.warns(UserWarning, match="is damaged .*Python objects"):
        assert load_train(hdf5_root).fingerprint() == first


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


def entry_of(name: str = "several") -> tuple[store.Entry, dict[str, np.ndarray]]:
    """Make an entry of several arrays, the first in blocks."""
    first = np.arange(30, dtype=np.float32).reshape(10, 3)
    others = {"labels": np.arange(10), "bits": np.array([1, 2, 3], np.uint8), "none": np.empty(0)}
    arrays = {"points": (first.shape, first.dtype, [first[:4], first[4:]])}
    arrays |= {name: store.whole(array) for name, array in others.items()}
    draft = store.Draft(arrays, {"note": "é"}, {"told": 1})
    key = store.Key(name, "train", {"points": 3}, 1, [])
    entry, is_new = store.obtain(key, lambda: nullcontext(draft), lambda entry: entry)
    assert is_new
    return entry, {"points": first, **others}


def test_an_entry_of_several_arrays_gives_them_back_mapped_and_read_only():
    entry, arrays = entry_of()
    assert list(entry.arrays) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(entry.arrays[name], array)
        assert entry.arrays[name].dtype == array.dtype
        assert not entry.arrays[name].flags.writeable
        assert entry.arrays[name].flags.aligned
        kept = np.load(entry.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        np.testing.assert_array_equal(kept, array)
    assert entry.content["note"] == "é"
    assert json.loads((entry.folder / "report.json").read_text()) == {"told": 1}


def test_the_same_entry_is_the_same_bytes():
    entry, _ = entry_of()
    first = {path.name: path.read_bytes() for path in entry.folder.iterdir()}
    shutil.rmtree(entry.folder)
    again, _ = entry_of()
    assert again.folder == entry.folder
    assert {path.name: path.read_bytes() for path in again.folder.iterdir()} == first


def test_sets_whose_names_have_dots_lie_apart():
    folders = {entry_of(name)[0].folder for name in ("v1.0", "v1.1", "v1")}
    assert len(folders) == 3


def test_what_is_there_is_not_made_again(cache: Path):
    entry, _ = entry_of()
    key = store.Key("several", "train", {"points": 3}, 1, [])

    def draft() -> None:
        raise AssertionError("it is there")

    again, is_new = store.obtain(key, draft, lambda entry: entry)
    assert not is_new
    assert again.folder == entry.folder == key.folder


def test_a_key_covers_all_that_the_content_depends_on(monkeypatch: pytest.MonkeyPatch):
    key = store.Key("a", "train", {"points": 3}, 1, [1])
    others = [
        replace(key, **change)
        for change in (
            {"name": "b"},
            {"split": "test"},
            {"wanted": {"points": 4}},
            {"reader": 2},
            {"sources": [2]},
        )
    ]
    folders = {one.folder for one in (key, *others)}
    monkeypatch.setattr(store, "FORMAT", store.FORMAT + 1)
    assert len(folders | {key.folder}) == 7
    assert len({one.place for one in (key, *others)}) == 4  # sources and versions share one


def test_an_entry_that_cannot_be_read_is_told_and_kept(
    hdf5_root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    expected = load_train(hdf5_root)
    entry = only_entry(cache)

    def too_many(path: Path) -> dict[str, object]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    with monkeypatch.context() as unreadable:
        unreadable.setattr(store, "read_record", too_many)
        with pytest.warns(UserWarning, match=r"cannot be read: Too many open files"):
            found = load_train(hdf5_root)
        with pytest.raises(store.NotKeptError, match="cannot be read"):
            damage.discard_damaged("modelnet40", "train")
    assert np.array_equal(found.points, expected.points)
    assert only_entry(cache) == entry
    assert np.array_equal(load_train(hdf5_root).points, expected.points)


def test_an_entry_that_is_gone_while_entries_are_listed_is_no_error(cache: Path):
    gone = cache / "a-train-0000000000000000-0000000000000000"
    assert store.newest_first([gone]) == [gone]
