"""A small data set in the layout of modelnet40_ply_hdf5_2048."""

import json
from pathlib import Path

import h5py
import numpy as np

CLASSES = ("bathtub", "bed", "chair")


def write_hdf5(root: Path) -> None:
    """Write a folder of 9 training shapes in two files and 3 test shapes in one, of 16 points."""
    rng = np.random.default_rng(0)
    root.mkdir()
    (root / "shape_names.txt").write_text("\n".join(CLASSES) + "\n")
    for split, counts in {"train": (6, 3), "test": (3,)}.items():
        names = [f"ply_data_{split}{number}.h5" for number in range(len(counts))]
        (root / f"{split}_files.txt").write_text("".join(f"data/stale/{n}\n" for n in names))
        for number, (name, count) in enumerate(zip(names, counts, strict=True)):
            labels = np.arange(count, dtype=np.uint8)[:, None] % 3
            points = rng.normal(size=(count, 16, 3)).astype(np.float32)
            with h5py.File(root / name, "w") as file:
                file["data"], file["label"] = points, labels
            meshes = [f"any_class/{split}{number}_{row}.ply" for row in range(count)]
            id_list = root / f"ply_data_{split}_{number}_id2file.json"
            id_list.write_text(json.dumps(meshes))
