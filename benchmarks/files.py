"""Processor time from the file of a mesh to its vector, beside what other libraries take to sample.

    python -m benchmarks.files --json files.json --triangles 1000 5000 50000

Bent spheres are written in each format, binary where it has a binary form. Ours reads, draws 4,096
points, normalises them and keeps 1,024; trimesh and Open3D read and draw 4,096. The floor is to
read the bytes and to encode the 1,024 points with ``--ckpt``. Meshes a second are those
of one thread from file to vector, encoded 16 at once. One thread, the files in the system's memory.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray

import pc_crvae
from benchmarks.machine import describe_machine
from benchmarks.timing import Action, Effort, alternate
from pc_crvae.data.readers.shape_files import load_shape
from pc_crvae.embedding.index import embed_clouds
from pc_crvae.models.points.model import PointModel
from pc_crvae.utils.memory import keep_freed_memory

FORMATS: dict[str, dict[str, str]] = {
    "binary.stl": {},
    "text.obj": {},
    "binary.glb": {},
    "binary.ply": {},
    "text.ply": {"encoding": "ascii"},
}
"""What a file's name ends in, and how trimesh is asked to write it."""

_TOGETHER = 16
_POINTS = 1024
_DRAWN = 4096


def main() -> None:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.files")
    parser.add_argument("--json", type=Path, metavar="FILE", required=True)
    parser.add_argument("--triangles", type=int, nargs="+", default=[1_000, 5_000, 50_000, 500_000])
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=FORMATS)
    parser.add_argument("--ckpt", default="pretrained", metavar="MODEL")
    parser.add_argument("--seconds", type=float, default=2.0, help="spent on each file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the commands do
    model = pc_crvae.load(options.ckpt)
    if not isinstance(model, PointModel):
        raise TypeError(f"{type(model).__name__} embeds no clouds")
    print("| file | triangles | " + " | ".join(_contenders(Path(), model)), end="")
    print(" | of the floor | meshes a second |", flush=True)
    print("| --- |" + " ---: |" * (len(_contenders(Path(), model)) + 3))
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in options.triangles:
            mesh = bent_sphere(count)
            for ending in options.formats:
                path = Path(folder) / f"{count}-{ending}"
                mesh.export(path, **FORMATS[ending])
                effort = Effort(options.seconds, 3, 25)
                ms = alternate(_contenders(path, model), effort, clock=time.process_time)
                rows[path.name] = ms
                share = (ms["to the points"] + ms["encode"]) / (ms["read bytes"] + ms["encode"])
                rate = 1000 * _TOGETHER / ms[f"{_TOGETHER} to vectors"]
                cells = [f"{value:.4g}" for value in ms.values()] + [f"{share:.2f}", f"{rate:.0f}"]
                print(f"| {ending} | {len(mesh.faces):,} | {' | '.join(cells)} |", flush=True)
    report = {"machine": describe_machine(), "ms": rows}
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def bent_sphere(triangles: int) -> trimesh.Trimesh:
    """A closed surface of about so many triangles, whose vertices have all their digits."""
    rows = round((triangles / 4) ** 0.5) + 1
    sphere = trimesh.creation.uv_sphere(count=[rows, rows])
    vertices = sphere.vertices * (1 + 0.2 * np.sin(5 * sphere.vertices[:, :1]))
    return trimesh.Trimesh(vertices, sphere.faces, process=False)


def _contenders(path: Path, model: PointModel) -> dict[str, Action]:
    cloud = np.random.default_rng(0).random((_POINTS, 3), np.float32)

    def clouds_of(count: int) -> Iterator[NDArray[np.float32]]:
        return (load_shape(path, _POINTS, "z") for _ in range(count))

    def by_trimesh() -> None:
        trimesh.load(path, force="mesh").sample(_DRAWN)

    def by_open3d() -> None:
        from open3d import io

        io.read_triangle_mesh(path).sample_points_uniformly(_DRAWN)

    return {
        "read bytes": path.read_bytes,
        "encode": lambda: list(embed_clouds(model, [cloud])),
        "to the points": lambda: load_shape(path, _POINTS, "z"),
        f"{_TOGETHER} to vectors": lambda: list(embed_clouds(model, clouds_of(_TOGETHER))),
        "trimesh": by_trimesh,
        "Open3D": by_open3d,
    }


if __name__ == "__main__":
    main()
