"""A source or a reader that changed is prepared anew, beside what was kept of the old."""

import json
from collections.abc import Callable
from pathlib import Path

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
    write_clouds,
)
from pc_crvae.data import load
from pc_crvae.data.cache import store
from pc_crvae.data.procedural import shapes
from pc_crvae.data.readers import modelnet_hdf5
from pc_crvae.data.readers import shapes as shapes_reader
from pc_crvae.errors import UserError


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
