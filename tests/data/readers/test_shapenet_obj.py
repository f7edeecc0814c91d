from pathlib import Path

import numpy as np
import pytest

from pc_crvae.data.cards import load_card
from pc_crvae.data.readers.shapenet_obj import list_items, load_points
from pc_crvae.errors import UserError

CARD = load_card("shapenetcore_v2")
CHAIR, TABLE = "03001627", "04379243"


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


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


def test_shapenet_is_split_by_the_official_list(shapenet: Path):
    items, classes, _ = list_items(shapenet, "train", CARD)
    assert [item.id for item in items] == [f"{CHAIR}/aaa", f"{TABLE}/aaa"]
    assert [classes[item.label] for item in items] == ["chair", "table"]
    assert items[0].path == shapenet / CHAIR / "aaa/models/model_normalized.obj"
    assert [item.id for item in list_items(shapenet, "test", CARD)[0]] == [f"{CHAIR}/ccc"]


def test_shapenet_v1_has_its_own_file_names(shapenet: Path):
    items, _, _ = list_items(shapenet, "test", load_card("shapenetcore_v1"))
    assert [item.path for item in items] == [shapenet / CHAIR / "ccc/model.obj"]


def test_shapenet_says_what_is_in_neither_split_or_has_no_folder(shapenet: Path):
    ignored = list_items(shapenet, "train", CARD).passed_over
    assert [len(paths) for paths in ignored.values()] == [1, 1]
    assert ignored["in the validation split"][0].parts[-3] == "bbb"
    assert ignored["of a synset that has no folder"][0].parts[-3] == "ddd"


def test_a_listed_model_without_a_file_stays_an_item(shapenet: Path):
    path = shapenet / CHAIR / "aaa/models/model_normalized.obj"
    path.unlink()
    items, _, _ = list_items(shapenet, "train", CARD)
    with pytest.raises(UserError, match=r"model_normalized\.obj is missing"):
        load_points(items[0].path, 8, np.random.default_rng(0))


def test_synsets_written_as_numbers_and_repeated_lines_are_understood(shapenet: Path):
    text = (shapenet / "all.csv").read_text()
    write(shapenet / "all.csv", text.replace(f",{CHAIR},{CHAIR},", ",3001627,3001627,") + text[37:])
    items, _, _ = list_items(shapenet, "train", CARD)
    assert [item.id for item in items] == [f"{CHAIR}/aaa", f"{TABLE}/aaa"]


def test_a_model_listed_in_two_splits_is_in_neither(shapenet: Path):
    with (shapenet / "all.csv").open("a") as file:
        file.write(f"9,{CHAIR},{CHAIR},aaa,test\n")
    for split in ("train", "test"):
        tree = list_items(shapenet, split, CARD)
        assert f"{CHAIR}/aaa" not in [item.id for item in tree.items]
        assert len(tree.passed_over["listed in two splits"]) == 1


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
        list_items(shapenet, "train", CARD)


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
        list_items(shapenet, "train", CARD)


def test_a_folder_without_synsets_is_no_shapenet(tmp_path: Path):
    write(tmp_path / "chair/train/chair_0001.off")
    with pytest.raises(UserError, match="no folder of a synset"):
        list_items(tmp_path, "train", CARD)
