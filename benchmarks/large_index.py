"""An index of many vectors: making it, the first answer and the next, memory and recall.

Run it as ``python -m benchmarks.large_index --vectors 1000000``. The vectors are drawn around the
embeddings of procedural shapes by the model that comes with the package. The index is searched in a
process of its own, which only sees the files.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray

from pc_crvae.data.procedural.shapes import make_shapes
from pc_crvae.embedding import opening
from pc_crvae.embedding.approximate import ApproximateIndex, place_of
from pc_crvae.embedding.cosine import unit_rows
from pc_crvae.embedding.index import About, Embeddings
from pc_crvae.embedding.opening import open_index
from pc_crvae.runs.saved import SavedModel
from pc_crvae.utils.resources import DEFAULT_MODEL

_SEED = 29
_SPREAD = 0.5
"""Of what is added to an embedding, as a share of its distance from the nearest other."""


def drawn_around(own: NDArray[np.float32], count: int, size: int) -> NDArray[np.float32]:
    """Draw vectors (count, size) around embeddings (n, d)."""
    rng = np.random.default_rng(_SEED)
    units = unit_rows(own).astype(np.float32)
    if (
        units.shape[1] < size
    ):  # by random mixtures of their own columns, which keeps their structure
        mixing = rng.normal(size=(units.shape[1], size)) / np.sqrt(size)
        units = (units @ mixing).astype(np.float32)
    units = units[:, :size]
    alike = units @ units.T
    np.fill_diagonal(alike, -np.inf)
    lengths = np.linalg.norm(units, axis=1)
    nearest = np.linalg.norm(units - units[alike.argmax(axis=1)], axis=1)
    found = np.empty((count, size), dtype=np.float32)
    for start in range(0, count, len(units)):
        part = found[start : start + len(units)]
        noise = rng.normal(size=part.shape).astype(np.float32) / np.sqrt(size)
        part[:] = units[: len(part)] + noise * (_SPREAD * nearest)[: len(part), None]
    if not np.isfinite(lengths).all():
        raise RuntimeError("an embedding is not finite")
    return found


def make(path: Path, count: int, size: int, shapes: int) -> None:
    """Write a file of vectors."""
    saved = SavedModel.open(Path(DEFAULT_MODEL), device="auto")
    model = saved.point_model
    import torch

    clouds, _ = make_shapes(shapes, model.points, _SEED)
    clouds -= clouds.mean(axis=1, keepdims=True)
    clouds /= np.linalg.norm(clouds, axis=2).max(axis=1)[:, None, None]
    parts = [
        model.vectors(torch.from_numpy(clouds[start : start + 64])).numpy()
        for start in range(0, shapes, 64)
    ]
    vectors = drawn_around(np.concatenate(parts), count, size)
    names = tuple(f"assembly/part-{row:07d}" for row in range(count))
    about = About(model_sha256=saved.weights_sha256, points=model.points, up="z")
    Embeddings(names, vectors, tuple(f"/parts/{name}.stl" for name in names), about).save(path)


def answer(path: Path) -> None:
    """Open the index, search, and print what it took."""
    started = time.monotonic()
    index = open_index(path)
    rows = np.random.default_rng(1).integers(0, len(index), 51)
    took = []
    for row in rows:
        index.nearest(index.vectors[int(row)][None], 10)
        took.append(time.monotonic())
    process = psutil.Process()
    not_mapped = sum(part.anonymous for part in process.memory_maps())
    spans = np.diff([started, *took])
    print(
        json.dumps(
            {
                "first": spans[0],
                "next": float(np.median(spans[1:])),
                "worst": float(spans[1:].max()),
                "resident": process.memory_info().rss,
                "not mapped": not_mapped,
                "processor": sum(process.cpu_times()[:2]),
            }
        )
    )


def main() -> None:
    """Make, index, search and tell."""
    if sys.argv[1:2] == ["--answer"]:
        answer(Path(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vectors", type=int, default=300_000)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--shapes", type=int, default=1000, help="that vectors are drawn around")
    parser.add_argument(
        "--exact-up-to",
        type=int,
        default=opening.EXACT_UP_TO,
        help="vectors that need no graph (smaller, to try the script on few)",
    )
    parser.add_argument("--folder", type=Path, help="to work in, and keep (default: temporary)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        path = (options.folder or Path(temporary)) / "vectors.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            make(path, options.vectors, options.size, options.shapes)
        opening.EXACT_UP_TO = options.exact_up_to
        wall, processor = time.monotonic(), time.process_time()
        index = open_index(path, tell=print)
        wall, processor = time.monotonic() - wall, time.process_time() - processor
        if not isinstance(index, ApproximateIndex):
            raise SystemExit("usearch is not installed, or there are too few vectors to need it")
        kept = sum(file.stat().st_size for file in place_of(path).iterdir())
        print(f"made or opened: {wall:.0f} s, {processor:.0f} s of processor time")
        print(
            f"{len(index):,} vectors of {options.size}: file {path.stat().st_size / 1e6:,.0f} MB, "
        )
        print(f"index beside it {kept / 1e6:,.0f} MB, {index.precision}, recall {index.recall:.4f}")
        for name in ("once", "again"):
            command = [sys.executable, "-m", "benchmarks.large_index", "--answer", str(path)]
            said = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
            print(
                f"{name}: first answer {said['first']:.2f} s, the next {said['next'] * 1e3:.1f} ms "
                f"(worst of 50: {said['worst'] * 1e3:.1f}), {said['processor']:.1f} s of processor "
                f"time; resident {said['resident'] / 1e6:,.0f} MB, of it not mapped from files "
                f"{said['not mapped'] / 1e6:,.0f}"
            )


if __name__ == "__main__":
    main()
