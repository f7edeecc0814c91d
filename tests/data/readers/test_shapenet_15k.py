from pathlib import Path

import numpy as np
import pytest

from helpers.bare_cards import card
from pc_crvae.data.readers.shapenet_15k import list_items, load_points
from pc_crvae.errors import UserError

CARD = card("chair", "airplane", "bag")
POINTS = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)


def save(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, POINTS)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save(tmp_path, "03001627/train/c.npy", "03001627/val/d.npy", "03001627/test/e.npy")
    return save(tmp_path, "02691156/train/b.npy", "02691156/train/a.npy", "02691156/test/f.npy")


def test_shapes_are_labelled_by_the_name_of_their_synset(root: Path):
    items, classes, _ = list_items(root, "train", CARD)
    assert classes == CARD.classes
    assert [(item.id, item.label) for item in items] == [
        ("02691156/a", 1),
        ("02691156/b", 1),
        ("03001627/c", 0),
    ]
    sample = load_points(items[0].path, 64, np.random.default_rng(0))
    assert {tuple(row) for row in sample.points.tolist()} <= {tuple(r) for r in POINTS.tolist()}
    assert sample.points.shape == (64, 3)


def test_the_validation_folder_is_in_neither_split(root: Path):
    ids = [item.id for split in ("train", "test") for item in list_items(root, split, CARD)[0]]
    assert sorted(ids) == ["02691156/a", "02691156/b", "02691156/f", "03001627/c", "03001627/e"]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["04530566/train/a.npy"], "class folder 04530566, which is no class"),
        (["02691156/stray.npy"], "split for some files only"),
        (["02691156/train/deeper/x.npy"], "is not where a shape of small belongs"),
    ],
)
def test_other_trees_are_refused(root: Path, names: list[str], problem: str):
    with pytest.raises(UserError, match=problem):
        list_items(save(root, *names), "train", CARD)


@pytest.mark.parametrize("names", [["train/a.npy", "test/b.npy"], ["02691156/a.npy"], ["a.npy"]])
def test_a_folder_of_another_level_is_refused(tmp_path: Path, names: list[str]):
    with pytest.raises(UserError, match=r"<synset>/train/<model>\.npy below"):
        list_items(save(tmp_path, *names), "train", CARD)
