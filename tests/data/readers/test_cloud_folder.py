from pathlib import Path

import numpy as np
import pytest

from helpers import cloud_writers as write
from helpers.bare_cards import card
from pc_crvae.data.readers.cloud_folder import list_items, load_points
from pc_crvae.errors import UserError


def save(path: Path, seed: int) -> None:
    points = np.random.default_rng(seed).integers(-9, 9, (30, 3)) / 4
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = {".npy": write.npy, ".pcd": write.pcd, ".ply": write.ply, ".csv": write.text}
    path.write_bytes(contents[path.suffix](points))


def test_clouds_of_every_kind_are_listed_by_class_and_split(tmp_path: Path):
    names = ["bed/train/1.npy", "bed/test/2.pcd", "car/train/3.ply", "car/train/4.csv"]
    for seed, name in enumerate(names):
        save(tmp_path / name, seed)
    items, classes, _ = list_items(tmp_path, "train", card())
    assert classes == ("bed", "car")
    assert [(item.id, item.label) for item in items] == [
        ("bed/train/1", 0),
        ("car/train/3", 1),
        ("car/train/4", 1),
    ]
    for item in items:
        assert load_points(item.path, 20, np.random.default_rng(0)).points.shape == (20, 3)


def test_a_flat_folder_is_cut_and_what_is_passed_over_is_told(tmp_path: Path):
    for number in range(5):
        save(tmp_path / f"{number}.npy", number)
    (tmp_path / "mesh.off").touch()
    tree = list_items(tmp_path, "test", card())
    assert [item.label for item in tree.items] == [None]
    assert tree.classes == ()
    assert tree.passed_over == {"of another kind": (tmp_path / "mesh.off",)}


def test_classes_of_the_card_bind(tmp_path: Path):
    save(tmp_path / "bed/1.npy", 0)
    with pytest.raises(UserError, match="class folder bed"):
        list_items(tmp_path, "train", card("car"))
