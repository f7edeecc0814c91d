import json
from pathlib import Path

import numpy as np
import pytest

from helpers.bare_cards import card
from pc_crvae.data.readers.shapenet_part import list_items, load_points
from pc_crvae.errors import UserError

CARD = card("Bag", "Airplane")
LISTS = {
    "train": ["shape_data/02773838/b", "shape_data/02691156/a", "shape_data/02691156/1-2"],
    "val": ["shape_data/02691156/c"],
    "test": ["shape_data/02691156/d"],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "synsetoffset2category.txt").write_text("Airplane\t02691156\nBag\t02773838\n")
    (tmp_path / "train_test_split").mkdir()
    rng = np.random.default_rng(0)
    for split, entries in LISTS.items():
        write_list(tmp_path, split, entries)
        for entry in entries:
            path = tmp_path / entry.removeprefix("shape_data/")
            path.parent.mkdir(exist_ok=True)
            table = np.hstack([rng.normal(size=(30, 6)), np.full((30, 1), 3)])
            np.savetxt(path.with_name(path.name + ".txt"), table, fmt="%.6f")
    return tmp_path


def write_list(root: Path, split: str, entries: object) -> None:
    path = root / "train_test_split" / f"shuffled_{split}_file_list.json"
    path.write_text(json.dumps(entries))


def test_shapes_are_those_of_the_list_sorted_with_the_labels_of_their_classes(root: Path):
    items, classes, _ = list_items(root, "train", CARD)
    assert classes == CARD.classes
    assert [(item.id, item.label) for item in items] == [
        ("02691156/1-2", 1),
        ("02691156/a", 1),
        ("02773838/b", 0),
    ]
    assert [item.id for item in list_items(root, "test", CARD)[0]] == ["02691156/d"]


def test_points_come_with_unit_normals_and_without_parts(root: Path):
    item = list_items(root, "train", CARD)[0][1]
    table = np.loadtxt(item.path)
    sample = load_points(item.path, 30, np.random.default_rng(0))
    assert sorted(map(tuple, sample.points.tolist())) == sorted(map(tuple, table[:, :3].tolist()))
    np.testing.assert_allclose(np.linalg.norm(sample.normals, axis=1), 1)


def test_a_listed_shape_without_a_file_is_refused_when_it_is_read(root: Path):
    (root / "02691156" / "a.txt").unlink()
    item = list_items(root, "train", CARD)[0][1]
    with pytest.raises(UserError, match=r"a\.txt is missing"):
        load_points(item.path, 30, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([], "lists no shapes"),
        ({}, "should hold a list of shape names"),
        ([1], "should hold a list of shape names"),
        (["shape_data/../../x"], "names no synset and model"),
        (["shape_data/02691156/a/b"], "names no synset and model"),
        (["shape_data/02691157/a"], "the synset 02691157, which synsetoffset2category"),
        (["shape_data/02691156/a", "02691156/a"], "lists 02691156/a twice"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(root: Path, entries: object, problem: str):
    write_list(root, "train", entries)
    with pytest.raises(UserError, match=rf"shuffled_train_file_list\.json.*{problem}"):
        list_items(root, "train", CARD)


def test_lists_that_are_missing_or_damaged_are_named(root: Path):
    path = root / "train_test_split" / "shuffled_train_file_list.json"
    for content in ["[", "[" * 100_000]:
        path.write_text(content)
        with pytest.raises(UserError, match="cannot be read as JSON"):
            list_items(root, "train", CARD)
    path.unlink()
    with pytest.raises(UserError, match=r"file_list\.json is missing"):
        list_items(root, "train", CARD)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("Airplane\t02691156\nShip\t02773838\n", "names Ship, which is no class of small"),
        ("Airplane\n", "should hold a class and a synset per line"),
        ("", "is empty"),
    ],
)
def test_classes_that_do_not_fit_are_named(root: Path, content: str, problem: str):
    (root / "synsetoffset2category.txt").write_text(content)
    with pytest.raises(UserError, match=problem):
        list_items(root, "train", CARD)
