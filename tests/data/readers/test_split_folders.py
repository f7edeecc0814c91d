"""Which folders are taken for splits: whatever they are called, or the tree is refused."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from pc_crvae.data.cards import load_card
from pc_crvae.data.readers import cloud_folder, mesh_folder
from pc_crvae.data.readers.class_tree import NoItemsError, read_class_tree
from pc_crvae.data.readers.split_folders import LOOKED_THROUGH, split_of
from pc_crvae.errors import UserError

MESHES = load_card("mesh-folder")
CLOUDS = load_card("cloud-folder")


def plant(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def tree(*splits: str, classes: str = "chair lamp", count: int = 3) -> list[str]:
    return [
        f"{split}/{name}/{split}{number}.off"
        for split in splits
        for name in classes.split()
        for number in range(count)
    ]


def found(root: Path, split: str) -> tuple[set[str], tuple[str, ...]]:
    listing = mesh_folder.list_items(root, split, MESHES)
    return {item.path.relative_to(root).as_posix() for item in listing.items}, listing.classes


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("TRAIN_SET", "train"),
        ("trainset", "train"),
        ("train data", "train"),
        ("testing", "test"),
        ("eval", "test"),
        ("Evaluation", "test"),
        ("test-set", "test"),
        ("val", "validation"),
        ("valid", "validation"),
        ("dev", "validation"),
        ("validation_split", "validation"),
        ("templates", None),
        ("dataset", None),
        ("trains", None),
    ],
)
def test_a_split_goes_by_many_names(name: str, split: str | None):
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("train", "test"), [("training", "testing"), ("train", "eval"), ("Train", "Test_set")]
)
@pytest.mark.parametrize("below", [False, True])
def test_splits_are_seen_above_and_below_the_classes(
    tmp_path: Path, train: str, test: str, below: bool
):
    files = tree(train, test)
    if below:
        files = ["{1}/{0}/{2}".format(*file.split("/")) for file in files]
    plant(tmp_path, files)
    for split, name in (("train", train), ("test", test)):
        own, classes = found(tmp_path, split)
        assert own == {file for file in files if name in file.split("/")[:2]}
        assert classes == ("chair", "lamp")


@pytest.mark.parametrize(
    "stray", ["templates/blank.off", "extra/chair/1.off", "holdout/lamp/2.off"]
)
def test_a_third_folder_beside_splits_is_refused_by_name(tmp_path: Path, stray: str):
    plant(tmp_path, [*tree("train", "test"), stray])
    for split in ("train", "test"):
        with pytest.raises(
            UserError, match=f"holds the folder {stray.split('/')[0]} beside test, "
        ):
            found(tmp_path, split)


@pytest.mark.parametrize(
    "files",
    [
        tree("train", "holdout"),
        tree("train", "unseen", classes="chair"),
        [*tree("train"), "templates/blank.off"],
        tree("test", "mine"),
        tree("train2017", "val2017"),
        tree("my_train", "my_test", count=1),
        ["chair/train_v1/a.off", "chair/test_v1/b.off", "lamp/train_v1/c.off"],
    ],
)
def test_what_stays_ambiguous_is_refused(tmp_path: Path, files: list[str]):
    plant(tmp_path, files)
    with pytest.raises(UserError, match=r"cannot be told whether they are splits or classes: call"):
        found(tmp_path, "train")


def test_classes_that_a_card_states_settle_it(tmp_path: Path):
    plant(tmp_path, ["train/steam/1.off", "train/steam/2.off", "train/diesel/3.off", "car/a.off"])
    with pytest.raises(UserError, match="cannot be told"):
        read_class_tree(tmp_path, "train", (".off",))
    listing = read_class_tree(tmp_path, "train", (".off",), ("car", "train"))
    assert listing.classes == ("car", "train")


@pytest.mark.parametrize(
    "files",
    [
        ["train/1.off", "train/2.off", "car/1.off", "car/2.off"],
        ["train/m1/model.off", "train/m2/model.off", "car/m3/model.off"],
        ["test_tube/1.off", "toy_train/2.off", "car/3.off"],
    ],
)
def test_classes_that_are_called_as_splits_stay_classes(tmp_path: Path, files: list[str]):
    _, classes = found(plant(tmp_path, files), "train")
    assert classes == tuple(sorted({file.split("/")[0] for file in files}))


@pytest.mark.parametrize(
    "files",
    [
        tree("train", "test"),
        ["chair/train/a.off", "chair/test/b.off", "lamp/train/c.off", "lamp/test/d.off"],
        ["train/chair/a.off", "train/lamp/b.off", "test/chair/c.off", "test/lamp/d.off"],
    ],
)
@pytest.mark.parametrize("wrapper", ["ModelNet", "data/ModelNet"])
def test_a_lone_folder_around_the_tree_is_looked_through(
    tmp_path: Path, files: list[str], wrapper: str
):
    plant(tmp_path / wrapper, files)
    listing = mesh_folder.list_items(tmp_path, "train", MESHES)
    assert listing.classes == ("chair", "lamp")
    assert {item.path.relative_to(tmp_path / wrapper).as_posix() for item in listing.items} == {
        file for file in files if "train" in file.split("/")
    }
    assert listing.passed_over[LOOKED_THROUGH] == (tmp_path / wrapper,)


def test_a_wrapper_around_classes_without_splits_is_looked_through(tmp_path: Path):
    plant(tmp_path, [f"mine/{name}/{row}.off" for name in ("chair", "lamp") for row in range(5)])
    assert found(tmp_path, "test")[1] == ("chair", "lamp")


@pytest.mark.parametrize(
    "files",
    [
        ["car/1.off", "car/2.off"],
        ["car/one/model.off", "car/two/model.off"],
        ["car/train/1.off", "car/test/2.off"],
        ["car/train/m1/model.off", "car/test/m2/model.off"],
    ],
)
def test_the_only_class_is_no_wrapper(tmp_path: Path, files: list[str]):
    assert found(plant(tmp_path, files), "train")[1] == ("car",)


def test_a_stray_around_which_there_is_a_wrapper_is_refused_too(tmp_path: Path):
    plant(tmp_path / "set", [*tree("train", "test"), "templates/blank.off"])
    with pytest.raises(UserError, match="holds the folder templates beside"):
        found(tmp_path, "train")


@pytest.mark.parametrize("name", ["val", "valid", "dev", "validation"])
def test_validation_folders_are_a_split_of_their_own(tmp_path: Path, name: str):
    plant(tmp_path, tree("train", "test", name))
    assert found(tmp_path, "validation")[0] == set(tree(name))
    assert found(tmp_path, "train")[0] == set(tree("train"))


def test_without_such_a_folder_there_is_no_validation(tmp_path: Path):
    plant(tmp_path, tree("chair", classes="a b"))
    with pytest.raises(NoItemsError, match="no items for the split validation"):
        found(tmp_path, "validation")


@pytest.mark.parametrize("note", ["README.txt", "labels.csv", "filelist.txt"])
@pytest.mark.parametrize("splits", [False, True])
def test_a_note_beside_class_folders_of_clouds_is_named(tmp_path: Path, note: str, splits: bool):
    above = ["train/", "test/"] if splits else [""]
    names = [f"{a}{name}/{row}.txt" for a in above for name in ("chair", "lamp") for row in "01234"]
    plant(tmp_path, [*names, note, f"{above[0]}{note}"])
    listing = cloud_folder.list_items(tmp_path, "train", CLOUDS)
    assert listing.classes == ("chair", "lamp")
    strays = [p for paths in listing.passed_over.values() for p in paths]
    assert sorted({*strays}) == sorted({tmp_path / note, tmp_path / f"{above[0]}{note}"})


def test_a_mesh_beside_class_folders_is_refused_still(tmp_path: Path):
    plant(tmp_path, [*tree("chair", "lamp", classes="."), "blank.off"])
    with pytest.raises(UserError, match=r"blank\.off lies outside of the class folders"):
        found(tmp_path, "train")


@pytest.mark.parametrize("splits", [True, False])
def test_a_note_beside_a_lone_folder_does_not_make_a_class_of_it(tmp_path: Path, splits: bool):
    inner = tree("train", "test") if splits else [name[6:] for name in tree("train")]
    names = [f"things/{name}" for name in inner]
    clouds = [name.replace(".off", ".npy") for name in names]
    plant(tmp_path, [*clouds, "labels.csv"])
    listing = cloud_folder.list_items(tmp_path, "train", CLOUDS)
    assert listing.classes == ("chair", "lamp")
    assert listing.passed_over[LOOKED_THROUGH] == (tmp_path / "things",)
    assert listing.passed_over["outside of the class folders"] == (tmp_path / "labels.csv",)


def test_folders_of_two_kinds_of_each_split_are_no_classes(tmp_path: Path):
    plant(tmp_path, [f"{name}/1.off" for name in ("trainA", "trainB", "testA", "testB")])
    with pytest.raises(UserError, match="testA, testB, trainA, trainB"):
        mesh_folder.list_items(tmp_path, "train", MESHES)
