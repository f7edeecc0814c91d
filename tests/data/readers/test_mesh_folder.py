from pathlib import Path

from pc_crvae.data.cards import load_card
from pc_crvae.data.readers.mesh_folder import list_items

CARD = load_card("mesh-folder")


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_a_folder_of_ones_own_takes_every_kind_of_mesh(tmp_path: Path):
    for name in ("chair/train/a.OFF", "chair/train/b.obj", "bed/test/c.glb", "bed/train/d.stl"):
        write(tmp_path / name)
    write(tmp_path / "bed/train/notes.txt")
    tree = list_items(tmp_path, "train", CARD)
    assert [item.id for item in tree.items] == ["bed/train/d", "chair/train/a", "chair/train/b"]
    assert tree.classes == ("bed", "chair")
    assert [item.label for item in tree.items] == [0, 1, 1]
    assert tree.passed_over == {"of another kind": (tmp_path / "bed/train/notes.txt",)}


def test_a_loop_of_links_ends(tmp_path: Path):
    write(tmp_path / "chair/a.off")
    write(tmp_path / "chair/b.off")
    (tmp_path / "chair/again").symlink_to(tmp_path)
    items, _, _ = list_items(tmp_path, "train", CARD)
    assert len(items) == 1


def test_the_real_trees_load(data_root: Path):
    own = list_items(data_root / "psb_off", "train", CARD)
    test = list_items(data_root / "psb_off", "test", CARD)
    assert len(own.classes) == 19
    assert len(own.items) + len(test.items) == 38
