"""Pruning removes what nothing will load again, and nothing else."""

import os
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from pc_crvae.data.cache import store
from pc_crvae.data.cache.kept import open_kept
from pc_crvae.data.cache.pruning import prune
from pc_crvae.data.cache.store import Draft, Entry, Key, whole

KEY = Key("a.set", "train", {"points": 3}, 1, ["first"])


def make(name: str = KEY.name, sources: object = "first", age: int = 0, **wanted: object) -> Entry:
    """Make an entry of 1,000 bytes, and as if it were ``age`` seconds older."""
    key = Key(name, "train", {"points": 3, **wanted}, 1, sources)
    draft = Draft({"points": whole(np.full(1000, 1, np.uint8))}, {})
    entry, _ = store.obtain(key, lambda: nullcontext(draft), lambda entry: entry)
    made_at = entry.folder.stat().st_mtime - age
    os.utime(entry.folder, (made_at, made_at))
    return entry


def names(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()}


def test_of_states_of_the_same_the_newest_stays(cache: Path):
    newest = make(sources="third", age=1)
    old = [make(sources="first", age=2), make(sources="second", age=3)]
    others = [make(normals=True), make(name="another")]
    found = prune()
    assert [leftover.path for leftover in found.removed] == [entry.folder for entry in old]
    assert {leftover.reason for leftover in found.removed} == {"superseded by a later state"}
    assert all(leftover.size > 1000 for leftover in found.removed)
    assert all(entry.folder.is_dir() for entry in (newest, *others))
    assert prune().removed == []


def test_a_dry_run_finds_the_same_and_removes_nothing(cache: Path):
    make(age=1)
    make(sources="second")
    before = names(cache)
    found = prune(dry_run=True).removed
    assert len(found) == 1
    assert names(cache) == before
    assert prune().removed == found


def test_what_is_removed_stays_whole_for_who_has_mapped_it():
    old = make(age=1)
    make(sources="second")
    assert prune().removed
    assert not old.folder.exists()
    np.testing.assert_array_equal(old.arrays["points"], np.full(1000, 1))


def test_entries_of_another_format_and_damaged_ones_go_even_where_they_are_the_newest(
    cache: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = make(age=5)
    damaged = make(sources="second")
    (damaged.folder / "record.json").write_text("{}")
    with monkeypatch.context() as another:
        another.setattr(store, "FORMAT", store.FORMAT + 1)
        foreign = make(sources="third")
    reasons = {leftover.path: leftover.reason for leftover in prune().removed}
    assert reasons == {damaged.folder: "damaged", foreign.folder: "of another format"}
    assert kept.folder.is_dir()


def test_files_of_version_0_1_go(cache: Path):
    cache.mkdir()
    place = "modelnet40-train-0123456789abcdef"
    old = [f"{place}{ending}" for ending in (".npy", ".lock", ".report.json")]
    old += [f".{place}-01234567.npy", f".{place}.report-01234567.json"]
    for name in old:
        (cache / name).write_bytes(b"0123456789")
    (cache / f"{place}.partial").write_bytes(b"0a1b2c Recipe\nand records")
    found = prune().removed
    assert {leftover.path.name for leftover in found} == {*old, f"{place}.partial"} - {
        f"{place}.lock"
    }
    assert names(cache) == set()


def test_a_preparation_that_can_be_gone_on_with_stays(cache: Path):
    cache.mkdir()
    with open_kept(KEY.journal) as rows:
        rows.put("key", ({}, {}))
    lock = Path(f"{KEY.place}.lock")
    lock.touch()
    (cache / f"{Key('b', 'test', {}, 1, None).place.name}.{store.FORMAT - 1}.1.partial").touch()
    assert [leftover.reason for leftover in prune().removed] == ["of another format"]
    assert names(cache) == {KEY.journal.name, lock.name}
    assert len(prune(everything=True).removed) == 1
    assert names(cache) == set()


def test_a_temporary_folder_goes_unless_somebody_is_at_it(cache: Path):
    entry = make()
    temporary = cache / f".{entry.folder.name}-01234567"
    temporary.mkdir()
    (temporary / "points.npy").write_bytes(b"half")
    with FileLock(f"{KEY.place}.lock"):
        found = prune()
        assert (found.removed, found.busy) == ([], [KEY.place.name])
    (leftover,) = prune().removed
    assert (leftover.path, leftover.size) == (temporary, 4)
    assert entry.folder.is_dir()


def test_everything_goes_where_it_is_asked_for(cache: Path):
    make(age=1)
    make(sources="second")
    make(name="another")
    before = names(cache)
    assert len(prune(everything=True, dry_run=True).removed) == 3
    assert names(cache) == before
    assert len(prune(everything=True).removed) == 3
    assert names(cache) == set()


def test_what_is_not_the_caches_stays(cache: Path, tmp_path: Path):
    entry = make(age=1)
    make(sources="second")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    (cache / f"{KEY.place.name}-{'0' * 16}").symlink_to(tmp_path / "elsewhere")
    foreign = ["notes.txt", "points.npy", "my-train-set", "x-train-0123.npy", ".hidden", "a.lock"]
    for name in foreign:
        (cache / name).touch()
    (cache / "a-train-0123456789abcdef.npy").mkdir()
    assert [leftover.path for leftover in prune().removed] == [entry.folder]
    prune(everything=True)
    left = {*foreign, "a-train-0123456789abcdef.npy", f"{KEY.place.name}-{'0' * 16}"}
    assert names(cache) == left
    assert (tmp_path / "elsewhere" / "file").exists()


def test_where_there_is_no_cache_there_is_nothing_to_remove(cache: Path):
    assert prune().removed == []
    assert not cache.exists()


def test_what_cannot_be_read_stays(cache: Path, monkeypatch: pytest.MonkeyPatch):
    entry = make()

    def denied(path: Path) -> dict[str, object]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(store, "read_record", denied)
    assert prune().removed == []
    assert entry.folder.is_dir()


def test_a_dry_run_leaves_no_lock_behind(cache: Path):
    entry = make()
    lock = entry.folder.with_name(f"{entry.folder.name.rpartition('-')[0]}.lock")
    lock.unlink(missing_ok=True)
    prune(dry_run=True)
    assert not lock.exists()
