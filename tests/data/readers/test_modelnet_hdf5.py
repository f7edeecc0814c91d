import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pc_crvae.data.cards import load_card
from pc_crvae.data.readers.modelnet_hdf5 import read_split
from pc_crvae.errors import UserError

CARD = load_card("modelnet40")
GOOD_POINTS = np.random.default_rng(1).normal(size=(6, 16, 3)).astype(np.float32)
GOOD_LABELS = np.zeros((6, 1), np.uint8)


def _write(path: Path, **datasets: object) -> None:
    with h5py.File(path, "w") as file:
        for key, values in datasets.items():
            file[key] = values


def _with(value: float) -> np.ndarray:
    points = GOOD_POINTS.copy()
    points[4, 3, 1] = value
    return points


def _with_collapsed_cloud() -> np.ndarray:
    points = GOOD_POINTS.copy()
    points[2] = 0.3
    return points


def test_points_labels_and_ids_come_in_the_order_of_the_list_of_files(hdf5_root: Path):
    raw = read_split(hdf5_root, "train", CARD)
    with h5py.File(hdf5_root / "ply_data_train0.h5", "r") as first:
        np.testing.assert_array_equal(raw.array[:6], first["data"][()])
    assert raw.array.shape == (9, 16, 3)
    assert raw.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2]
    assert raw.labels.dtype == np.int64
    assert raw.classes == ("bathtub", "bed", "chair")
    assert raw.ids[5:7] == ("train0_5", "train1_0")


def test_a_list_line_is_taken_as_given_before_its_bare_name(hdf5_root: Path):
    inner = hdf5_root / "data" / "stale"
    inner.mkdir(parents=True)
    _write(inner / "ply_data_test0.h5", data=GOOD_POINTS, label=GOOD_LABELS)
    np.testing.assert_array_equal(read_split(hdf5_root, "test", CARD).array, GOOD_POINTS)


def test_windows_line_ends_and_blank_lines_in_lists_are_ignored(hdf5_root: Path):
    (hdf5_root / "test_files.txt").write_bytes(b"ply_data_test0.h5\r\n\r\n")
    assert len(read_split(hdf5_root, "test", CARD).array) == 3


def test_flat_labels_and_double_precision_load(hdf5_root: Path):
    path = hdf5_root / "ply_data_test0.h5"
    _write(path, data=GOOD_POINTS[:3].astype(np.float64), label=np.array([2, 1, 0], np.int32))
    assert read_split(hdf5_root, "test", CARD).labels.tolist() == [2, 1, 0]


def test_ids_are_file_and_row_without_a_list_of_meshes(hdf5_root: Path):
    (hdf5_root / "ply_data_test_0_id2file.json").unlink()
    assert read_split(hdf5_root, "test", CARD).ids[2] == "ply_data_test0/2"


def test_repeated_mesh_names_become_unique_ids(hdf5_root: Path):
    id_list = hdf5_root / "ply_data_test_0_id2file.json"
    id_list.write_text(json.dumps(["bed/bed_1.ply", "bed/bed_1.ply", "bed/bed_2.ply"]))
    assert read_split(hdf5_root, "test", CARD).ids == ("bed_1", "bed_1#2", "bed_2")


def test_files_are_opened_for_reading_only(hdf5_root: Path):
    # HDF5 refuses to open for writing what is already open for reading.
    with h5py.File(hdf5_root / "ply_data_test0.h5", "r"):
        assert len(read_split(hdf5_root, "test", CARD).array) == 3


@pytest.mark.parametrize("name", ["shape_names.txt", "train_files.txt", "ply_data_train1.h5"])
def test_a_missing_file_is_named(hdf5_root: Path, name: str):
    (hdf5_root / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        read_split(hdf5_root, "train", CARD)


@pytest.mark.parametrize("name", ["shape_names.txt", "train_files.txt"])
def test_an_empty_list_is_named(hdf5_root: Path, name: str):
    (hdf5_root / name).write_text("\n")
    with pytest.raises(UserError, match=f"{name} is empty"):
        read_split(hdf5_root, "train", CARD)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"no HDF5 at all",
        lambda content: b"",
        lambda content: content[: len(content) // 2],
    ],
    ids=["text", "empty", "truncated"],
)
def test_a_damaged_file_is_named(hdf5_root: Path, damage: Callable[[bytes], bytes]):
    path = hdf5_root / "ply_data_train1.h5"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"ply_data_train1\.h5 is not an HDF5 file or is damaged"):
        read_split(hdf5_root, "train", CARD)


@pytest.mark.parametrize(
    ("datasets", "problem"),
    [
        ({"label": GOOD_LABELS}, "no data set 'data'"),
        ({"data": GOOD_POINTS}, "no data set 'label'"),
        ({"data/inner": GOOD_POINTS, "label": GOOD_LABELS}, "no data set 'data'"),
        ({"data": GOOD_POINTS[0], "label": GOOD_LABELS}, r"shape \(n, P, 3\), not \(16, 3\)"),
        ({"data": 1.0, "label": GOOD_LABELS}, r"shape \(n, P, 3\), not \(\)"),
        ({"data": GOOD_POINTS[..., :2], "label": GOOD_LABELS}, r"not \(6, 16, 2\)"),
        ({"data": GOOD_POINTS[:, :0], "label": GOOD_LABELS}, "'data' is empty"),
        ({"data": GOOD_POINTS[:0], "label": GOOD_LABELS[:0]}, "'data' is empty"),
        ({"data": GOOD_POINTS.astype("S8"), "label": GOOD_LABELS}, "'data' should hold numbers"),
        ({"data": GOOD_POINTS, "label": GOOD_LABELS.astype("S1")}, "'label' should hold numbers"),
        ({"data": GOOD_POINTS, "label": GOOD_LABELS * 0.5}, "'label' should hold whole numbers"),
        ({"data": _with(np.nan), "label": GOOD_LABELS}, r"row 4 \(train0_4\)"),
        ({"data": _with(-np.inf), "label": GOOD_LABELS}, r"row 4 \(train0_4\)"),
        ({"data": _with_collapsed_cloud(), "label": GOOD_LABELS}, r"row 2 \(train0_2\)"),
        ({"data": GOOD_POINTS, "label": GOOD_LABELS + 3}, "label 3 in row 0 is out of range"),
        (
            {"data": GOOD_POINTS, "label": GOOD_LABELS.astype(np.int64) - 1},
            "label -1 in row 0 is out of range",
        ),
        ({"data": GOOD_POINTS, "label": GOOD_LABELS[:5]}, r"shape \(6, 1\).* not \(5, 1\)"),
        ({"data": GOOD_POINTS[:5], "label": GOOD_LABELS[:5]}, "names 6 meshes for the 5"),
        (
            {"data": GOOD_POINTS[:, :15], "label": GOOD_LABELS},
            r"16 points a cloud where ply_data_train0\.h5 has 15",
        ),
    ],
)
def test_unusable_content_is_told_in_one_sentence(
    hdf5_root: Path, datasets: dict[str, object], problem: str
):
    _write(hdf5_root / "ply_data_train0.h5", **datasets)
    with pytest.raises(UserError, match=problem) as caught:
        read_split(hdf5_root, "train", CARD)
    assert "ply_data_train" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"), [("[", "cannot be read as JSON"), ('{"a": 1}', "list of mesh names")]
)
def test_an_unusable_list_of_meshes_is_named(hdf5_root: Path, content: str, problem: str):
    (hdf5_root / "ply_data_train_1_id2file.json").write_text(content)
    with pytest.raises(UserError, match=rf"ply_data_train_1_id2file\.json.*{problem}"):
        read_split(hdf5_root, "train", CARD)
