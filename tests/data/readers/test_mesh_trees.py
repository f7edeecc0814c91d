"""Trees of meshes: what belongs to a split, under which name and class, and what is passed over."""

from pathlib import Path

import numpy as np
import pytest

from pc_crvae.data.cards import Card, load_card
from pc_crvae.data.readers.mesh_trees import list_items, load_points, read_tree, source_paths
from pc_crvae.errors import UserError

TRIANGLE = "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
CHAIR, TABLE = "03001627", "04379243"


def write(path: Path, text: str = TRIANGLE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def card_of(name: str, **changes: object) -> Card:
    return load_card(name).model_copy(update=changes)


@pytest.fixture
def modelnet(tmp_path: Path) -> Path:
    for name in ("chair/train/chair_0002", "chair/train/chair_0001", "bed/train/bed_0001"):
        write(tmp_path / f"{name}.off")
    write(tmp_path / "chair/test/chair_0890.off")
    write(tmp_path / "README.txt")
    write(tmp_path / "chair/train/.chair_0003.off")
    return tmp_path


@pytest.fixture
def shapenet(tmp_path: Path) -> Path:
    rows = [
        (CHAIR, "aaa", "train"),
        (CHAIR, "bbb", "val"),
        (CHAIR, "ccc", "test"),
        (TABLE, "aaa", "train"),
        ("02691156", "ddd", "train"),
    ]
    lines = [f"{number},{s},{s},{m},{side}" for number, (s, m, side) in enumerate(rows)]
    write(tmp_path / "all.csv", "\n".join(["id,synsetId,subSynsetId,modelId,split", *lines]) + "\n")
    for synset, model, _ in rows[:4]:
        write(tmp_path / synset / model / "models/model_normalized.obj")
        write(tmp_path / synset / model / "model.obj")
    return tmp_path


def test_modelnet_splits_lie_below_the_classes_and_ids_are_the_stems(modelnet: Path):
    items, classes = list_items(modelnet, "train", card_of("modelnet40_off"))
    assert [item.id for item in items] == ["bed_0001", "chair_0001", "chair_0002"]
    assert [classes[item.label] for item in items] == ["bed", "chair", "chair"]
    assert classes == load_card("modelnet40_off").classes
    test, _ = list_items(modelnet, "test", card_of("modelnet40_off"))
    assert [item.path for item in test] == [modelnet / "chair/test/chair_0890.off"]


def test_equal_stems_of_two_classes_keep_their_folders(modelnet: Path):
    write(modelnet / "bed/train/chair_0001.off")
    items, _ = list_items(modelnet, "train", card_of("modelnet40_off"))
    assert len({item.id for item in items}) == len(items) == 4


def test_what_is_passed_over_is_listed(modelnet: Path):
    tree = read_tree(modelnet, "train", card_of("modelnet40_off"))
    assert modelnet / "README.txt" in tree.ignored["of another kind"]


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
        list_items(modelnet, "train", card_of("modelnet40_off"))


def test_the_folder_of_another_layout_is_refused(tmp_path: Path):
    write(tmp_path / "chair/a.off")
    write(tmp_path / "chair/b.off")
    with pytest.raises(UserError, match="is it the folder with the class folders"):
        list_items(tmp_path, "train", card_of("modelnet40_off"))


def test_shapenet_is_split_by_the_official_list(shapenet: Path):
    card = card_of("shapenetcore_v2")
    items, classes = list_items(shapenet, "train", card)
    assert [item.id for item in items] == [f"{CHAIR}/aaa", f"{TABLE}/aaa"]
    assert [classes[item.label] for item in items] == ["chair", "table"]
    assert items[0].path == shapenet / CHAIR / "aaa/models/model_normalized.obj"
    assert [item.id for item in list_items(shapenet, "test", card)[0]] == [f"{CHAIR}/ccc"]


def test_shapenet_v1_has_its_own_file_names(shapenet: Path):
    items, _ = list_items(shapenet, "test", card_of("shapenetcore_v1"))
    assert [item.path for item in items] == [shapenet / CHAIR / "ccc/model.obj"]


def test_shapenet_says_what_is_in_neither_split_or_has_no_folder(shapenet: Path):
    ignored = read_tree(shapenet, "train", card_of("shapenetcore_v2")).ignored
    assert [len(paths) for paths in ignored.values()] == [1, 1]
    assert ignored["in the validation split"][0].parts[-3] == "bbb"
    assert ignored["of a synset that has no folder"][0].parts[-3] == "ddd"


def test_a_listed_model_without_a_file_stays_an_item(shapenet: Path):
    path = shapenet / CHAIR / "aaa/models/model_normalized.obj"
    path.unlink()
    items, _ = list_items(shapenet, "train", card_of("shapenetcore_v2"))
    with pytest.raises(UserError, match=r"model_normalized\.obj is missing"):
        load_points(items[0].path, 8, np.random.default_rng(0))


def test_synsets_written_as_numbers_and_repeated_lines_are_understood(shapenet: Path):
    text = (shapenet / "all.csv").read_text()
    write(shapenet / "all.csv", text.replace(f",{CHAIR},{CHAIR},", ",3001627,3001627,") + text[37:])
    items, _ = list_items(shapenet, "train", card_of("shapenetcore_v2"))
    assert [item.id for item in items] == [f"{CHAIR}/aaa", f"{TABLE}/aaa"]


def test_a_model_listed_in_two_splits_is_in_neither(shapenet: Path):
    with (shapenet / "all.csv").open("a") as file:
        file.write(f"9,{CHAIR},{CHAIR},aaa,test\n")
    for split in ("train", "test"):
        tree = read_tree(shapenet, split, card_of("shapenetcore_v2"))
        assert f"{CHAIR}/aaa" not in [item.id for item in tree.items]
        assert len(tree.ignored["listed in two splits"]) == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f"9,{CHAIR},{CHAIR},../../etc,train", r"all\.csv, line 7, names no model"),
        (f"9,{CHAIR},{CHAIR},,train", "line 7, names no model"),
        (f"9,{CHAIR},{CHAIR},eee,training", "line 7, names no split: training"),
        ("9,02858304,02858304,eee,train", "lists the synset 02858304, which is no class"),
        (f"9,{CHAIR}", "line 7, names no model"),
    ],
)
def test_a_line_of_the_list_that_cannot_be_used_is_named(shapenet: Path, line: str, problem: str):
    with (shapenet / "all.csv").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=problem):
        list_items(shapenet, "train", card_of("shapenetcore_v2"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, r"all\.csv is missing.*official list of the split"),
        ("a,b\n1,2\n", "no column synsetId"),
        ("", "no column synsetId"),
        ("id,synsetId,subSynsetId,modelId,split\n", "no items for the split train"),
        ("id,synsetId,subSynsetId,modelId,split\n\x00\xff", "cannot be read as a table"),
    ],
)
def test_a_list_that_cannot_be_used_is_named(shapenet: Path, content: str | None, problem: str):
    path = shapenet / "all.csv"
    path.unlink() if content is None else path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=problem):
        list_items(shapenet, "train", card_of("shapenetcore_v2"))


def test_a_folder_without_synsets_is_no_shapenet(modelnet: Path):
    with pytest.raises(UserError, match="no folder of a synset"):
        list_items(modelnet, "train", card_of("shapenetcore_v2"))


def test_a_folder_of_ones_own_takes_every_kind_of_mesh(tmp_path: Path):
    for name in ("chair/train/a.OFF", "chair/train/b.obj", "bed/test/c.glb", "bed/train/d.stl"):
        write(tmp_path / name)
    write(tmp_path / "bed/train/notes.txt")
    tree = read_tree(tmp_path, "train", card_of("mesh-folder"))
    assert [item.id for item in tree.items] == ["bed/train/d", "chair/train/a", "chair/train/b"]
    assert tree.classes == ("bed", "chair")
    assert [item.label for item in tree.items] == [0, 1, 1]
    assert tree.ignored == {"of another kind": (tmp_path / "bed/train/notes.txt",)}


def test_a_loop_of_links_ends(tmp_path: Path):
    write(tmp_path / "chair/a.off")
    write(tmp_path / "chair/b.off")
    (tmp_path / "chair/again").symlink_to(tmp_path)
    items, _ = list_items(tmp_path, "train", card_of("mesh-folder"))
    assert len(items) == 1


@pytest.mark.parametrize(
    ("fixture", "name"), [("modelnet", "modelnet40_off"), ("shapenet", "shapenetcore_v2")]
)
def test_sources_hold_every_item_and_what_would_bring_new_ones(
    request: pytest.FixtureRequest, fixture: str, name: str
):
    root = request.getfixturevalue(fixture)
    card = card_of(name)
    paths = source_paths(root, "train", card)
    assert {item.path for item in list_items(root, "train", card)[0]} <= set(paths)
    new = root / "sofa/train" if fixture == "modelnet" else root / "all.csv"
    assert new in paths


def test_sources_of_a_folder_that_is_not_there_raise_nothing(tmp_path: Path):
    for name in ("modelnet40_off", "shapenetcore_v2", "mesh-folder"):
        assert source_paths(tmp_path / "none", "train", card_of(name))


def test_the_real_trees_load(data_root: Path):
    items, classes = list_items(
        data_root / "modelnet_off/ModelNet40", "train", card_of("modelnet40_off")
    )
    assert [item.id for item in items][:2] == ["airplane_0003", "bathtub_0001"]
    assert classes[items[-1].label] == "stool"
    own = read_tree(data_root / "psb_off", "train", card_of("mesh-folder"))
    test = read_tree(data_root / "psb_off", "test", card_of("mesh-folder"))
    assert len(own.classes) == 19
    assert len(own.items) + len(test.items) == 38
