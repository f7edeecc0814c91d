"""Clouds far from the origin: refused where the type they are stored in leaves too little."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from helpers import cloud_writers as write
from pc_crvae.data.formats.cloud_files import read_cloud
from pc_crvae.data.formats.hdf5 import file_and_row, read_part
from pc_crvae.data.formats.precision import LEAST_STEPS, steps_along
from pc_crvae.errors import UserError

UTM = np.array((431_000.0, 5_400_000.0, 100.0))
SHAPE = np.random.default_rng(0).normal(size=(300, 3)) * 0.4
FAR = SHAPE + UTM
SINGLE = FAR.astype(np.float32)

LOST = {
    "a.npy": write.npy(SINGLE),
    "half.npy": write.npy((SHAPE + 900).astype(np.float16)),
    "a.npz": write.npz(points=SINGLE),
    "binary.ply": write.ply(FAR),
    "big.ply": write.ply(FAR, "binary_big_endian"),
    "text.ply": write.ply(SINGLE.astype(np.float64), "ascii"),
    "binary.pcd": write.pcd(FAR),
    "packed.pcd": write.pcd(np.repeat(FAR[:60], 5, axis=0), "binary_compressed"),
    "text.pcd": write.pcd(FAR, "ascii"),
}
KEPT = {
    "a.npy": write.npy(FAR),
    "whole.npy": write.npy((SHAPE * 1000 + UTM).astype(np.int64)),
    "double.ply": write.ply(FAR, kind="double"),
    "text of more digits.ply": write.ply(FAR, "ascii"),
    "a.xyz": write.text(FAR),
    "nearer.npy": write.npy((SHAPE + 100).astype(np.float32)),
}


@pytest.mark.parametrize("name", LOST)
def test_too_few_steps_of_the_stored_type_are_refused(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(LOST[name])
    with pytest.raises(
        UserError, match=r"so far from the origin.*float\d\d\) leave only \d+ steps"
    ):
        read_cloud(tmp_path / name)


@pytest.mark.parametrize("name", KEPT)
def test_what_the_type_holds_is_read(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(KEPT[name])
    points = read_cloud(tmp_path / name)
    assert min(len(np.unique(points[:, axis])) for axis in range(3)) > 200


def test_clouds_of_hdf5_are_judged_by_their_type(tmp_path: Path):
    for dtype in (np.float32, np.float64):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["data"] = np.stack([SHAPE, FAR]).astype(dtype)
            file["label"] = np.zeros((2, 1), np.uint8)
        if dtype == np.float64:
            assert len(read_part(tmp_path / "a.h5", file_and_row).points) == 2
        else:
            with pytest.raises(UserError, match=r"row 1 \(a/1\) is so far .* only \d steps"):
                read_part(tmp_path / "a.h5", file_and_row)


def test_steps_are_those_between_distinct_values():
    line = np.zeros((10_000, 3), np.float32)
    line[:, 0] = np.float32(2**20) + np.linspace(0, 12.5, 10_000, dtype=np.float32)
    side, farthest = np.ptp(line[:, 0]), line[:, 0].max()
    steps = steps_along(side, farthest, line.dtype)
    assert steps == len(np.unique(line[:, 0])) - 1 == 100 < LEAST_STEPS
    assert steps_along(side, farthest, np.dtype(np.int32)) == np.inf
