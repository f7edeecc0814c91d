"""An entry of several arrays, and the key that it lies under."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pc_crvae.data.cache import store


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


def test_an_entry_that_is_gone_while_entries_are_listed_is_no_error(cache: Path):
    gone = cache / "a-train-0000000000000000-0000000000000000"
    assert store.newest_first([gone]) == [gone]
