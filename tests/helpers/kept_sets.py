"""Small sets that are kept in a cache, and what lies there of them."""

import os
from pathlib import Path

import h5py
import numpy as np
import yaml

from pc_crvae.data import CloudSet, load, load_card


def small_card(folder: Path, **changes: object) -> Path:
    card = load_card("shapes").model_dump(mode="json")
    card |= {"name": "small", "points": 32}
    card["splits"] = {"train": {"count": 40, "seed": 0}, "test": {"count": 20, "seed": 1}}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(card | changes))
    return path


def load_train(root: Path) -> CloudSet:
    return load("modelnet40", "train", root=root)


def entries(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.suffix != ".lock"] if cache.exists() else []


def only_entry(cache: Path) -> Path:
    (entry,) = entries(cache)
    return entry


def is_mapped(clouds: CloudSet) -> bool:
    base = clouds.points
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    return base is not None


def spoil_unseen(path: Path) -> None:
    """Overwrite a file so that only reading it would tell."""
    status = path.stat()
    path.write_bytes(b"?" * status.st_size)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def write_clouds(path: Path, scale: float = 1.0) -> None:
    """Write two other clouds of 16 points with their labels."""
    points = scale * np.random.default_rng(5).normal(size=(2, 16, 3)).astype(np.float32)
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = points, np.zeros((2, 1), np.uint8)


def assert_same(one: CloudSet, other: CloudSet) -> None:
    assert one.fingerprint() == other.fingerprint()
    assert (one.name, one.split, one.classes) == (other.name, other.split, other.classes)
    np.testing.assert_array_equal(one.labels, other.labels)


def change_points(root: Path) -> None:
    write_clouds(root / "ply_data_train1.h5")
    (root / "ply_data_train_1_id2file.json").write_text('["chair_1.ply", "chair_2.ply"]')
