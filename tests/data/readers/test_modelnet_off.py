from pathlib import Path

import pytest

from pc_crvae.data.cards import load_card
from pc_crvae.data.readers.modelnet_off import list_items
from pc_crvae.errors import UserError

CARD = load_card("modelnet40_off")


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.fixture
def modelnet(tmp_path: Path) -> Path:
    for name in ("chair/train/chair_0002", "chair/train/chair_0001", "bed/train/bed_0001"):
        write(tmp_path / f"{name}.off")
    write(tmp_path / "chair/test/chair_0890.off")
    write(tmp_path / "README.txt")
    write(tmp_path / "chair/train/.chair_0003.off")
    return tmp_path


def test_modelnet_splits_lie_below_the_classes_and_ids_are_the_stems(modelnet: Path):
    items, classes, _ = list_items(modelnet, "train", CARD)
    assert [item.id for item in items] == ["bed_0001", "chair_0001", "chair_0002"]
    assert [classes[item.label] for item in items] == ["bed", "chair", "chair"]
    assert classes == CARD.classes
    test, _, _ = list_items(modelnet, "test", CARD)
    assert [item.path for item in test] == [modelnet / "chair/test/chair_0890.off"]


def test_equal_stems_of_two_classes_keep_their_folders(modelnet: Path):
    write(modelnet / "bed/train/chair_0001.off")
    items, _, _ = list_items(modelnet, "train", CARD)
    assert len({item.id for item in items}) == len(items) == 4


def test_what_is_passed_over_is_listed(modelnet: Path):
    tree = list_items(modelnet, "train", CARD)
    assert modelnet / "README.txt" in tree.passed_over["of another kind"]


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("spoon/train/spoon_1.off", "spoon, which is no class"),
        ("chair/chair_1.off", "for some files only"),
    ],
)
def test_a_file_that_is_astray_is_named(modelnet: Path, path: str, problem: str):
    write(modelnet / path)
    with pytest.raises(UserError, match=problem):
        list_items(modelnet, "train", CARD)


def test_the_folder_of_another_layout_is_refused(tmp_path: Path):
    write(tmp_path / "chair/a.off")
    write(tmp_path / "chair/b.off")
    with pytest.raises(UserError, match="is it the folder with the class folders"):
        list_items(tmp_path, "train", CARD)


def test_the_real_trees_load(data_root: Path):
    items, classes, _ = list_items(data_root / "modelnet_off/ModelNet40", "train", CARD)
    assert [item.id for item in items][:2] == ["airplane_0003", "bathtub_0001"]
    assert classes[items[-1].label] == "stool"
