from pathlib import Path

import numpy as np
import pytest

from helpers.bare_cards import card
from pc_crvae.data.cards import load_card
from pc_crvae.data.readers.modelnet_resampled import list_items, load_points
from pc_crvae.errors import UserError

CARD = card("bed", "night_stand", "plant", variant="modelnet40")
TEN = card("bed", "night_stand", variant="modelnet10")
TABLE = np.random.default_rng(0).normal(size=(50, 6)).round(4)


@pytest.fixture(params=["", "modelnet40_normal_resampled"], ids=["flat", "nested"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The lists, and the folders of the classes beside them or in a folder of their own."""
    (tmp_path / "modelnet40_shape_names.txt").write_text("bed\nnight_stand\nplant\n")
    (tmp_path / "modelnet10_shape_names.txt").write_text("bed\nnight_stand\n")
    (tmp_path / "modelnet40_train.txt").write_text("plant_0002\nbed_0001\r\nnight_stand_0001\n\n")
    (tmp_path / "modelnet40_test.txt").write_text("bed_0002\nplant_0001\n")
    for name in ["bed_0001", "bed_0002", "night_stand_0001", "plant_0002"]:
        path = tmp_path / request.param / name.rpartition("_")[0] / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, TABLE, fmt="%.6f", delimiter=",")
    return tmp_path


def test_shapes_come_in_the_order_of_the_list(root: Path):
    items, classes, _ = list_items(root, "train", CARD)
    assert classes == CARD.classes
    assert [(item.id, item.label) for item in items] == [
        ("plant_0002", 2),
        ("bed_0001", 0),
        ("night_stand_0001", 1),
    ]
    assert all(item.path.is_file() for item in items)


def test_ten_classes_are_taken_from_the_longer_list_where_theirs_is_missing(root: Path):
    items, classes, _ = list_items(root, "train", TEN)
    assert classes == TEN.classes
    assert [(item.id, item.label) for item in items] == [("bed_0001", 0), ("night_stand_0001", 1)]
    (root / "modelnet10_train.txt").write_text("night_stand_0001\n")
    assert [item.id for item in list_items(root, "train", TEN)[0]] == ["night_stand_0001"]


def test_a_listed_shape_without_a_file_is_refused_when_it_is_read(root: Path):
    items, _, _ = list_items(root, "test", CARD)
    assert [item.id for item in items] == ["bed_0002", "plant_0001"]
    with pytest.raises(UserError, match=r"plant_0001\.txt is missing"):
        load_points(items[1].path, 10, np.random.default_rng(0))


def test_points_go_with_their_normals_made_unit(root: Path):
    item = list_items(root, "train", CARD)[0][0]
    sample = load_points(item.path, 20, np.random.default_rng(0))
    rows = [int(np.flatnonzero((TABLE[:, :3] == point).all(axis=1))[0]) for point in sample.points]
    assert len(set(rows)) == 20
    normals = TABLE[rows, 3:] / np.linalg.norm(TABLE[rows, 3:], axis=1, keepdims=True)
    np.testing.assert_allclose(sample.normals, normals)
    assert sample.repairs == {}


@pytest.mark.parametrize("normal", [(0.0, 0.0, 0.0), (np.nan, 0.0, 1.0), (1e200, 1e200, 0.0)])
def test_a_normal_without_length_leaves_the_sample_without_normals(
    root: Path, normal: tuple[float, ...]
):
    item = list_items(root, "train", CARD)[0][0]
    table = TABLE.copy()
    table[7, 3:] = normal
    np.savetxt(item.path, table, delimiter=",")
    sample = load_points(item.path, 60, np.random.default_rng(0))
    assert sample.normals is None
    assert sample.repairs["normals without length"] >= 1
    assert sample.repairs["points repeated"] == 10


@pytest.mark.parametrize(
    ("file", "content", "problem"),
    [
        ("modelnet40_shape_names.txt", "bed\nspaceship\n", "names spaceship, which is no class"),
        ("modelnet40_shape_names.txt", None, r"shape_names\.txt is missing"),
        ("modelnet40_train.txt", None, r"modelnet40_train\.txt is missing"),
        ("modelnet40_train.txt", "", r"modelnet40_train\.txt is empty"),
        ("modelnet40_train.txt", "bed_0001\nship_0001\n", "lists ship_0001, whose class "),
        ("modelnet40_train.txt", "bed_0001\nbed_0001\n", "lists bed_0001 2 times"),
        ("modelnet40_train.txt", "bed\n", "lists bed, whose class "),
    ],
)
def test_lists_that_do_not_fit_are_named(root: Path, file: str, content: str | None, problem: str):
    (root / file).unlink()
    if content is not None:
        (root / file).write_text(content)
    with pytest.raises(UserError, match=problem):
        list_items(root, "train", CARD)


def test_an_empty_folder_and_a_missing_variant_are_named(tmp_path: Path):
    (tmp_path / "modelnet40_shape_names.txt").write_text("bed\n")
    with pytest.raises(UserError, match="holds no folder bed"):
        list_items(tmp_path, "train", CARD)
    with pytest.raises(UserError, match="one of modelnet10, modelnet40, not None"):
        list_items(tmp_path, "train", card("bed"))


def test_a_list_without_shapes_of_the_ten_classes_is_named(root: Path):
    (root / "modelnet40_train.txt").write_text("plant_0002\n")
    with pytest.raises(UserError, match=r"modelnet40_train\.txt lists no shape"):
        list_items(root, "train", TEN)


def test_real_files_load_upright_after_a_turn(data_root: Path):
    root = data_root / "modelnet40_normal_resampled"
    items, classes, _ = list_items(root, "train", load_card("modelnet40_resampled"))
    assert len(classes) == 40
    there = {item.id: item for item in items if item.path.is_file()}
    assert len(there) == 23
    sample = load_points(there["person_0025"].path, 2048, np.random.default_rng(0))
    sides = np.ptp(sample.points, axis=0)
    assert sides.argmax() == 1  # a person is tallest along y
    np.testing.assert_allclose(np.linalg.norm(sample.normals, axis=1), 1)
