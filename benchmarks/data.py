"""Loading a prepared set and preparing one, in processes and with caches of their own."""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import private_mb
from benchmarks.report import Row, say

_ROOT = Path(__file__).resolve().parents[1]
_POINTS = 2048
_BATCH = 64
_CLASSES = 40
_WORKERS = (1, 2)


def run(*, quick: bool) -> Iterator[Row]:
    """Measure both, on folders of meshes made for it."""
    count, small = (24, 6) if quick else (12_311, 6)
    with TemporaryDirectory() as name:
        folder = Path(name)
        say(f"data: making and preparing {count} small meshes")
        _write_meshes(folder / "small", count, small)
        _measure_in_child("prepare", folder / "small", folder / "cache", str(_WORKERS[-1]))
        # The first of them brings what it imports and maps into the system's memory.
        loads = [
            _measure_in_child("first_batch", folder / "small", folder / "cache", str(count))
            for _ in range(1 if quick else 4)
        ][-3:]
    row = Row(
        "data",
        "the first batch of a prepared set",
        "float32",
        1000 * median(load["seconds"] for load in loads),
        None,
        "",
        f"a folder of {count:,} meshes, whose {_POINTS:,} points each are kept: the folder listed, "
        f"the set mapped, {_BATCH} clouds of it drawn",
        _BATCH,
        _POINTS,
        ours_added_mb=median(load["mb"] for load in loads) if "mb" in loads[0] else None,
    )
    say(f"data: {row.name}, {row.ours_ms:.4g} ms")
    yield row

    count, sides = (8, 12) if quick else (1000, 50)
    seconds: dict[int, list[float]] = {workers: [] for workers in _WORKERS}
    with TemporaryDirectory() as name:
        folder = Path(name)
        _write_meshes(folder / "meshes", count, sides)
        for turn in range(1 if quick else 3):
            for workers in _WORKERS:
                cache = folder / f"cache {turn} {workers}"
                done = _measure_in_child("prepare", folder / "meshes", cache, str(workers))
                seconds[workers].append(done["seconds"])
    one, two = (1000 * median(seconds[workers]) for workers in _WORKERS)
    row = Row(
        "data",
        f"preparing {count:,} meshes",
        "float32",
        two,
        one,
        "one worker",
        f"two workers; OFF files of {_faces(sides):,} faces each, {_POINTS:,} points drawn of each",
        count,
        _POINTS,
    )
    say(f"data: {row.name}, {row.ours_ms:.4g} ms, {row.ratio:.3g} times as fast as one worker")
    yield row


def _measure_in_child(what: str, root: Path, cache: Path, number: str) -> dict[str, float]:
    paths = [str(_ROOT), str(_ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PC_CRVAE_CACHE": str(cache),
    }
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.data", what, str(root), number],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the process that was to measure {what} failed:\n{done.stderr}")
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _prepare(root: Path, workers: int) -> dict[str, float]:
    from pc_crvae.data.cache.shape_sets import prepare_shapes
    from pc_crvae.data.cards import load_card

    card = load_card("mesh-folder")
    started = time.perf_counter()
    prepare_shapes(card, "train", root, "z", workers=workers).checked()
    return {"seconds": time.perf_counter() - started}


def _first_batch(root: Path, count: int) -> dict[str, float]:
    import torch

    # What a load imports, so that it is neither timed nor counted.
    from pc_crvae.data import load_clouds

    before = private_mb()
    started = time.perf_counter()
    clouds = load_clouds("mesh-folder", "train", root=root)
    chosen = np.random.default_rng(0).choice(count, min(_BATCH, count), replace=False)
    batch = torch.from_numpy(clouds.batch(chosen, _POINTS, "benchmark"))
    seconds = time.perf_counter() - started
    after = private_mb()
    if len(clouds) != count or batch.shape[1:] != (_POINTS, 3):
        raise RuntimeError(f"{len(clouds)} clouds were loaded, {count} were made")
    measured = {"seconds": seconds}
    return measured if before is None or after is None else measured | {"mb": after - before}


def _write_meshes(root: Path, count: int, sides: int) -> None:
    """Write tori, no two the same, as OFF files in folders of classes of the training split."""
    steps = np.arange(sides)
    corner = steps[:, None] * sides + steps  # (sides, sides)
    right, up = np.roll(corner, -1, axis=1), np.roll(corner, -1, axis=0)
    both = np.roll(right, -1, axis=0)
    faces = np.concatenate(
        [np.stack([corner, right, both], -1), np.stack([corner, both, up], -1)]
    ).reshape(-1, 3)
    face_text = "".join(f"3 {a} {b} {c}\n" for a, b, c in faces)
    head = f"OFF\n{sides * sides} {len(faces)} 0\n"
    rng = np.random.default_rng(0)
    for number in range(count):
        folder = root / "train" / f"class {number % _CLASSES:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        vertices = _torus(sides, *rng.uniform(0.2, 0.8, size=2))
        rows = "".join(f"{x:.6f} {y:.6f} {z:.6f}\n" for x, y, z in vertices)
        (folder / f"torus {number:05d}.off").write_text(head + rows + face_text)


def _torus(sides: int, tube: float, flat: float) -> NDArray[np.float64]:
    """Vertices (sides * sides, 3) of a torus of radius 1."""
    around, across = np.meshgrid(*[np.linspace(0, 2 * math.pi, sides, endpoint=False)] * 2)
    radius = 1 + tube * np.cos(across)
    points = (radius * np.cos(around), radius * np.sin(around), flat * np.sin(across))
    return np.stack(points, axis=-1).reshape(-1, 3)


def _faces(sides: int) -> int:
    return 2 * sides * sides


if __name__ == "__main__":
    _measure = {"prepare": _prepare, "first_batch": _first_batch}[sys.argv[1]]
    print(json.dumps(_measure(Path(sys.argv[2]), int(sys.argv[3]))))
