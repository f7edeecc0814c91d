import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from helpers.bare_cards import card
from pc_crvae.data.readers.shapenet_hdf5 import read_split, source_paths
from pc_crvae.errors import UserError

CARD = card("airplane", "bag", "chair")
POINTS = np.random.default_rng(1).normal(size=(12, 8, 3)).astype(np.float32)


def write(path: Path, rows: slice, labels: list[int]) -> None:
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = POINTS[rows], np.array(labels, np.uint8)[:, None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Eleven training files, of which the tenth is called train10, and one of each other split."""
    for number in range(11):
        write(tmp_path / f"train{number}.h5", slice(number, number + 1), [number % 3])
    write(tmp_path / "val0.h5", slice(3, 5), [0, 0])
    write(tmp_path / "test0.h5", slice(8, 11), [1, 2, 0])
    return tmp_path


def beside(root: Path, kind: str, names: list[str]) -> None:
    (root / f"test0_{kind}.json").write_text(json.dumps(names))


def test_files_come_by_their_numbers_and_labels_are_the_cards(root: Path):
    raw = read_split(root, "train", CARD)
    np.testing.assert_array_equal(raw.array, POINTS[:11])
    assert raw.labels.tolist() == [number % 3 for number in range(11)]
    assert raw.classes == CARD.classes
    assert raw.ids[10] == "train10/0"


def test_a_list_of_files_goes_before_their_numbers(root: Path):
    (root / "train_files.txt").write_text("data/stale/train3.h5\ntrain1.h5\n")
    assert read_split(root, "train", CARD).ids == ("train3/0", "train1/0")


def test_names_beside_a_file_say_what_its_clouds_are(root: Path):
    beside(root, "id2name", ["chair", "airplane", "chair"])
    raw = read_split(root, "test", CARD)
    assert raw.labels.tolist() == [2, 0, 2]
    assert raw.classes == CARD.classes


def test_labels_are_of_the_names_listed_in_the_folder(root: Path):
    (root / "shape_names.txt").write_text("chair\nairplane\nbag\n")
    assert read_split(root, "test", CARD).labels.tolist() == [0, 1, 2]


def test_ids_are_the_models_with_their_synsets(root: Path):
    beside(root, "id2file", ["02691156/1a04.ply", "02691156/1a04.ply", "02773838/b.v2"])
    ids = read_split(root, "test", CARD).ids
    assert ids == ("02691156/1a04", "02691156/1a04#2", "02773838/b")


def test_what_is_read_is_watched(root: Path):
    beside(root, "id2file", ["a", "b", "c"])
    watched = source_paths(root, "test", CARD)
    for name in ["", "shape_names.txt", "test_files.txt", "test0.h5", "test0_id2file.json"]:
        assert root / name in watched
    assert root / "test0_id2name.json" in watched
    (root / "test_files.txt").write_text("elsewhere/test7.h5\n")
    watched = source_paths(root, "test", CARD)
    assert {root / "elsewhere/test7.h5", root / "test7.h5"} <= set(watched)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda root: (root / "test0.h5").unlink(), r"test0\.h5 is missing"),
        (lambda root: beside(root, "id2name", ["a"] * 3), "names a, which is no class of small"),
        (lambda root: beside(root, "id2name", ["bag"]), "names 1 classes for the 3"),
        (lambda root: beside(root, "id2file", ["bag"]), "names 1 meshes for the 3"),
        (lambda root: (root / "test0_id2name.json").write_text("["), "cannot be read as JSON"),
        (lambda root: write(root / "test0.h5", slice(0, 1), [3]), "the card small names 3 classes"),
        (
            lambda root: (root / "shape_names.txt").write_text("bag\nchair\n"),
            r"label 2 in row 1 is out of range, as shape_names\.txt names 2",
        ),
        (
            lambda root: (root / "shape_names.txt").write_text("bag\nchair\ntree\n"),
            r"shape_names\.txt names tree, which is no class",
        ),
    ],
)
def test_what_does_not_fit_is_named(root: Path, change, problem: str):
    change(root)
    with pytest.raises(UserError, match=problem):
        read_split(root, "test", CARD)


def test_a_gap_in_the_numbers_is_named(root: Path):
    (root / "train4.h5").unlink()
    with pytest.raises(UserError, match=r"train4\.h5 is missing, though train10\.h5 is there"):
        read_split(root, "train", CARD)
