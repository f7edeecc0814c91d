import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pc_crvae.data.formats.hdf5 import file_and_row, read_part
from pc_crvae.errors import UserError

POINTS = np.random.default_rng(1).normal(size=(6, 16, 3)).astype(np.float32)


def write(path: Path, **data: object) -> Path:
    with h5py.File(path, "w") as file:
        for key, values in {"label": np.zeros(6, np.int64), **data}.items():
            file[key] = values
    return path


@pytest.mark.parametrize("filters", [{}, {"compression": "gzip", "shuffle": True}])
@pytest.mark.parametrize("chunks", [True, (4, 16, 3)])
def test_packed_and_chunked_files_load(tmp_path: Path, filters: dict[str, object], chunks: object):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=POINTS, chunks=chunks, **filters)
        file["label"] = np.arange(6, dtype=np.uint8)
    part = read_part(tmp_path / "a.h5", file_and_row)
    np.testing.assert_array_equal(part.points, POINTS)
    assert part.labels.tolist() == list(range(6))
    assert part.labels.dtype == np.int64
    assert part.ids[5] == "a/5"


def test_even_points_of_zero_and_one_pack_and_load(tmp_path: Path):
    points = np.zeros((50, 1000, 3))
    points[:, 0] = 1
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=points, compression="gzip", compression_opts=9)
        file["label"] = np.zeros(50, np.uint8)
    np.testing.assert_array_equal(read_part(tmp_path / "a.h5", file_and_row).points, points)


def unwritten(file: h5py.File) -> None:
    file.create_dataset("data", (10**9, 16, 3), "f4", chunks=(4, 16, 3))


def unwritten_in_one(file: h5py.File) -> None:
    file.create_dataset("data", (10**7, 16, 3), "f4")


def written_in_part(file: h5py.File) -> None:
    file.create_dataset("data", (10**8, 16, 3), "f4", chunks=(4, 16, 3))[:4] = POINTS[:4]


def packed_in_part(file: h5py.File) -> None:
    data = file.create_dataset("data", (10**8, 16, 3), "f4", chunks=(4, 16, 3), compression="gzip")
    data[:4] = POINTS[:4]


@pytest.mark.parametrize("make", [unwritten, unwritten_in_one, written_in_part, packed_in_part])
def test_what_is_promised_and_not_stored_takes_no_memory(
    tmp_path: Path, make: Callable[[h5py.File], None]
):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["label"] = np.zeros(6, np.int64)
        make(file)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"a\.h5 is cut short or damaged: 'data' promises"):
            read_part(tmp_path / "a.h5", file_and_row)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_data_are_not_followed_into_other_files(tmp_path: Path):
    write(tmp_path / "other.h5", data=POINTS)
    layout = h5py.VirtualLayout((6, 16, 3), "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "data", (6, 16, 3))
    links: dict[str, Callable[[h5py.File], object]] = {
        "external": lambda file: file.create_dataset(
            "data", (6, 16, 3), "f4", external=[(str(tmp_path / "other.h5"), 0, 1152)]
        ),
        "virtual": lambda file: file.create_virtual_dataset("data", layout),
        "link": lambda file: file.__setitem__(
            "data", h5py.ExternalLink(str(tmp_path / "other.h5"), "data")
        ),
    }
    for name, make in links.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["label"] = np.zeros(6, np.int64)
            make(file)
        with pytest.raises(UserError, match="no data set 'data'"):
            read_part(tmp_path / f"{name}.h5", file_and_row)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"data": 1e200 * POINTS.astype(np.float64)}, r"immense coordinate in row 0 \(a/0\)"),
        ({"data": POINTS.astype(np.float64) + 1e16}, r"row 0 \(a/0\) is so far from the origin"),
        ({"data": POINTS, "label": np.full(6, 2**63, np.uint64)}, "9223372036854775808 is out of"),
    ],
)
def test_clouds_that_cannot_be_scaled_and_labels_beyond_all_are_refused(
    tmp_path: Path, data: dict[str, object], problem: str
):
    with pytest.raises(UserError, match=problem):
        read_part(write(tmp_path / "a.h5", **data), file_and_row)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"gone\.h5 is missing"):
        read_part(tmp_path / "gone.h5", file_and_row)
