import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pc_crvae.data.readers.class_tree import class_tree_paths, read_class_tree
from pc_crvae.errors import UserError

SUFFIXES = (".off", ".obj")


def plant(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def ids_of(root: Path, split: str, classes: tuple[str, ...] = ()) -> list[str]:
    return [item.id for item in read_class_tree(root, split, SUFFIXES, classes)[0]]


def labelled(root: Path, split: str, classes: tuple[str, ...] = ()) -> dict[str, str | None]:
    items, names, _ = read_class_tree(root, split, SUFFIXES, classes)
    return {item.id: None if item.label is None else names[item.label] for item in items}


@pytest.mark.parametrize(
    ("train", "test"),
    [("chair/train/{}.off", "chair/test/{}.off"), ("Train/chair/{}.off", "TEST/chair/{}.off")],
    ids=["below", "above"],
)
def test_split_folders_lie_below_or_above_the_classes(tmp_path: Path, train: str, test: str):
    other = (train.replace("chair", "bed"), test.replace("chair", "bed"))
    plant(tmp_path, [train.format("a"), train.format("b"), test.format("c"), other[0].format("d")])
    plant(tmp_path, [other[1].format("e")])
    assert labelled(tmp_path, "train") == {
        train.format("a")[:-4]: "chair",
        train.format("b")[:-4]: "chair",
        other[0].format("d")[:-4]: "bed",
    }
    assert labelled(tmp_path, "test") == {
        test.format("c")[:-4]: "chair",
        other[1].format("e")[:-4]: "bed",
    }


def test_split_folders_without_classes_hold_unlabelled_items(tmp_path: Path):
    plant(tmp_path, ["train/a.off", "train/b.off", "test/c.off"])
    assert labelled(tmp_path, "train") == {"train/a": None, "train/b": None}
    assert labelled(tmp_path, "test") == {"test/c": None}


def test_a_flat_folder_is_unlabelled_and_cut_in_two(tmp_path: Path):
    plant(tmp_path, [f"{number}.off" for number in range(10)])
    train, test = ids_of(tmp_path, "train"), ids_of(tmp_path, "test")
    assert (len(train), len(test)) == (8, 2)
    assert sorted(train + test) == [str(number) for number in range(10)]
    assert set(labelled(tmp_path, "train").values()) == {None}


def test_each_class_without_splits_is_cut_at_a_fifth(tmp_path: Path):
    counts = {"a": 10, "b": 2, "c": 1, "d": 23}
    for name, count in counts.items():
        plant(tmp_path, [f"{name}/{number}.off" for number in range(count)])
    test = [name[0] for name in ids_of(tmp_path, "test")]
    train = [name[0] for name in ids_of(tmp_path, "train")]
    assert {name: test.count(name) for name in counts} == {"a": 2, "b": 1, "c": 0, "d": 5}
    assert {name: train.count(name) for name in counts} == {"a": 8, "b": 1, "c": 1, "d": 18}
    assert set(ids_of(tmp_path, "test")).isdisjoint(ids_of(tmp_path, "train"))


def test_the_cut_depends_on_ids_alone(tmp_path: Path):
    names = [f"chair/{number}.off" for number in range(20)]
    one, other = plant(tmp_path / "one", names), plant(tmp_path / "other", reversed(names))
    assert ids_of(one, "test") == ids_of(other, "test")
    # Fixed for good: a cut that moves would let test shapes into training.
    assert ids_of(one, "test") == ["chair/1", "chair/10", "chair/6", "chair/8"]


def test_items_are_sorted_and_paths_lead_to_them(tmp_path: Path):
    paths = ["a/train/1.OFF", "a/train/b/deep.off", "a/train/c.off", "b/train/10.obj"]
    plant(tmp_path, [*reversed(paths), "a/test/x.off"])
    items, classes, _ = read_class_tree(tmp_path, "train", SUFFIXES)
    assert classes == ("a", "b")
    assert [item.path for item in items] == [tmp_path / path for path in paths]
    assert [item.id for item in items] == [path[:-4] for path in paths]


def test_files_may_lie_deeper_within_a_class(tmp_path: Path):
    plant(tmp_path, ["car/one/model.off", "car/two/model.off", "bed/deep/er/model.v2.off"])
    assert labelled(tmp_path, "train") | labelled(tmp_path, "test") == {
        "car/one/model": "car",
        "car/two/model": "car",
        "bed/deep/er/model.v2": "bed",
    }


def test_items_that_differ_by_suffix_alone_keep_it(tmp_path: Path):
    plant(tmp_path, ["c/x.off", "c/x.obj", "c/y.off"])
    assert sorted(ids_of(tmp_path, "train") + ids_of(tmp_path, "test")) == [
        "c/x.obj",
        "c/x.off",
        "c/y",
    ]
    plant(tmp_path, ["c/x.off.obj"])
    assert sorted(ids_of(tmp_path, "train") + ids_of(tmp_path, "test")) == [
        "c/x.obj",
        "c/x.off",
        "c/x.off.obj",
        "c/y.off",
    ]


def test_labels_follow_the_given_classes_and_others_are_refused(tmp_path: Path):
    plant(tmp_path, ["train/bed/1.off", "train/car/2.off", "test/bed/3.off"])
    items, classes, _ = read_class_tree(tmp_path, "train", SUFFIXES, ("car", "toy", "bed"))
    assert classes == ("car", "toy", "bed")
    assert [item.label for item in items] == [2, 0]
    with pytest.raises(UserError, match="class folder car, which is no class of this data set"):
        read_class_tree(tmp_path, "train", SUFFIXES, ("bed",))


def test_classes_are_those_of_both_splits(tmp_path: Path):
    plant(tmp_path, ["a/test/1.off", "b/train/2.off"])
    items, classes, _ = read_class_tree(tmp_path, "train", SUFFIXES)
    assert classes == ("a", "b")
    assert items[0].label == 1


def test_a_class_called_train_beside_others_is_a_class(tmp_path: Path):
    plant(tmp_path, ["train/1.off", "train/2.off", "car/1.off", "car/2.off"])
    assert set(labelled(tmp_path, "train").values()) == {"train", "car"}


TREES = st.sampled_from(
    [
        ["."],
        ["bed", "car", "car/deep"],
        ["bed/train", "bed/test", "bed/Val", "car/train", "car/test/deep"],
        ["train/bed", "test/bed", "test/car", "valid/car"],
        ["TRAIN", "test", "val"],
        [".", "bed", "bed/train", "train/bed", "test"],
    ]
)
NAMES = st.sampled_from(["a.off", "a.obj", "a.off.obj", "b.off", "c.txt", ".d.off"])
FILES = TREES.flatmap(
    lambda tree: st.sets(
        st.tuples(st.sampled_from(tree), NAMES).map(lambda parts: f"{parts[0]}/{parts[1]}"),
        min_size=2,
        max_size=10,
    )
)


def check_places(files: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = plant(Path(folder), files)
        trees = []
        for split in ("train", "test"):
            try:
                trees.append(read_class_tree(root, split, SUFFIXES))
            except UserError:
                continue
        places = [item.path for tree in trees for item in tree.items]
        ids = {item.id for tree in trees for item in tree.items}
        assert len(places) == len(set(places)) == len(ids)
        if len(trees) == 2:
            assert trees[0].passed_over == trees[1].passed_over
            assert trees[0].classes == trees[1].classes
            places += [path for paths in trees[0].passed_over.values() for path in paths]
            shown = [root / file for file in files if not Path(file).name.startswith(".")]
            assert sorted(places) == sorted(shown)


@settings(max_examples=25, deadline=None)
@given(files=FILES)
def test_every_file_of_a_tree_has_one_place_or_the_tree_is_refused(files: set[str]):
    check_places(files)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(files=FILES)
def test_every_file_of_many_trees_has_one_place_or_the_tree_is_refused(files: set[str]):
    check_places(files)


def test_what_is_passed_over_is_told(tmp_path: Path):
    plant(tmp_path, ["a/train/1.off", "a/val/2.off", "a/train/notes.txt", "a/test/3.off"])
    plant(tmp_path, [".hidden/4.off", "a/train/.5.off", "README"])
    os.mkfifo(tmp_path / "a" / "train" / "pipe.off")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a" / "test")
    tree = read_class_tree(tmp_path, "train", SUFFIXES)
    assert [item.id for item in tree.items] == ["a/train/1"]
    assert tree.passed_over == {
        "of another kind": (tmp_path / "README", tmp_path / "a/train/notes.txt"),
        "in a validation folder": (tmp_path / "a/val/2.off",),
        "not a regular file": (tmp_path / "a/train/pipe.off",),
        "a folder met before": (tmp_path / "a/link",),
    }


def test_a_link_to_nowhere_is_listed_so_that_it_is_refused_by_name(tmp_path: Path):
    plant(tmp_path, ["train/1.off"])
    (tmp_path / "train" / "2.off").symlink_to(tmp_path / "gone.off")
    (tmp_path / "train" / "3.off").symlink_to("3.off")
    assert ids_of(tmp_path, "train") == ["train/1", "train/2", "train/3"]


def test_links_that_go_round_end(tmp_path: Path):
    folders = [tmp_path / "root" / name for name in "abcdefghij"]
    plant(tmp_path, ["above.off"])
    for folder in folders:
        plant(folder, ["1.off", "2.off"])
    for folder in folders:
        for other in [*folders, tmp_path, tmp_path / "root"]:
            (folder / f"to_{other.name}").symlink_to(other)
    found = ids_of(tmp_path / "root", "train") + ids_of(tmp_path / "root", "test")
    assert len(found) == 20
    assert not any("to_" in name for name in found)


def test_linked_class_folders_and_files_are_followed(tmp_path: Path):
    plant(tmp_path / "elsewhere", ["1.off", "2.off"])
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "chair").symlink_to(tmp_path / "elsewhere")
    assert set(labelled(tmp_path / "root", "train").values()) == {"chair"}


def test_paths_to_watch_are_the_folders_and_the_files(tmp_path: Path):
    plant(tmp_path, ["a/1.off", "a/.2.off", "b/3.txt"])
    assert sorted(class_tree_paths(tmp_path, SUFFIXES)) == [
        tmp_path,
        tmp_path / "a",
        tmp_path / "a/1.off",
        tmp_path / "b",
    ]
    assert class_tree_paths(tmp_path / "gone", SUFFIXES) == [tmp_path / "gone"]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ([], r"holds no file that ends in \.obj, \.off"),
        (["a/x.txt"], r"holds no file that ends in \.obj, \.off"),
        (["test/a/1.off"], "no items for the split train"),
        (["val/a/1.off"], "no items for the split train"),
        (["a/1.off", "2.off"], r"2\.off lies outside of the class folders"),
        (["train/a/1.off", "train/2.off"], r"2\.off lies outside of the class folders"),
        (["a/train/1.off", "a/2.off"], r"split for some files only.*1\.off.*2\.off does not"),
        (["a/train/1.off", "b/2.off"], r"split for some files only.*1\.off.*2\.off does not"),
        (["a/train/1.off", "2.off"], r"2\.off lies outside of the class folders"),
    ],
)
def test_trees_that_cannot_be_told_are_refused(tmp_path: Path, names: list[str], problem: str):
    with pytest.raises(UserError, match=problem) as caught:
        read_class_tree(plant(tmp_path, names), "train", SUFFIXES)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_of_one_shape_has_no_test_split(tmp_path: Path):
    plant(tmp_path, ["a.off"])
    assert ids_of(tmp_path, "train") == ["a"]
    with pytest.raises(UserError, match="no items for the split test"):
        ids_of(tmp_path, "test")


def test_a_root_that_is_no_folder_is_named(tmp_path: Path):
    plant(tmp_path, ["a.off"])
    for root in (tmp_path / "gone", tmp_path / "a.off"):
        with pytest.raises(UserError, match=f"{root} cannot be read"):
            read_class_tree(root, "train", SUFFIXES)


def test_names_that_are_not_utf8_are_refused(tmp_path: Path):
    path = os.fsencode(tmp_path) + b"/\xff.off"
    try:
        os.close(os.open(path, os.O_CREAT))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(UserError, match="not plain text in UTF-8"):
        read_class_tree(tmp_path, "train", SUFFIXES)


def test_names_with_line_breaks_are_refused_in_one_line(tmp_path: Path):
    plant(tmp_path, ["a\nb.off"])
    with pytest.raises(UserError, match=r"a\\nb\.off' has a name that is not plain text") as caught:
        read_class_tree(tmp_path, "train", SUFFIXES)
    assert "\n" not in str(caught.value)
