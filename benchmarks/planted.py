"""A collection with planted copies: how many are found, and how many of the findings are right.

Run it as ``python -m benchmarks.planted --shapes 2000 --ckpt MODEL``. Shapes are procedural, with
meshes of ``psb_off`` beside them where ``$PC_CRVAE_DATA`` leads to it.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pc_crvae.collection.analysis import Analysis, analyse
from pc_crvae.collection.reading import Collection, read_files
from pc_crvae.collection.store import open_store
from pc_crvae.data.facing import up_in_full
from pc_crvae.data.formats.meshes import read_surface
from pc_crvae.data.procedural.shapes import CLASSES, make_mesh
from pc_crvae.data.readers.shape_files import find_shape_files
from pc_crvae.embedding.index import About
from pc_crvae.runs.saved import SavedModel

FOUND_AS = {
    "same file": "same file",
    "re-exported": "same geometry",
    "re-triangulated": "same geometry",
    "scaled": "scaled",
    "turned": "turned",
    "mirrored": "mirrored",
    "noise of 0.5 %": "near",
    "one hole more": "near",
}
"""The kinds that are planted, and what each is to be found as."""

Cells = NDArray[np.bool_]
Grid = tuple[NDArray[np.float64], NDArray[np.float64], float]
"""Where the lines between the cells lie along x and y, and the thickness."""

SEED = 2027
"""That of the figures in docs/explore.md; thresholds are tuned on others."""

_PLATES = 0.1  # of the shapes


def plate(rng: np.random.Generator) -> tuple[Cells, Grid]:
    """A plate of random sides, cut into cells, some of which are holes: cells and their grid."""
    cells = np.ones((rng.integers(7, 14), rng.integers(5, 10)), dtype=bool)
    inner = np.argwhere(np.ones(np.subtract(cells.shape, 2))) + 1
    chosen = rng.permutation(len(inner))[: rng.integers(2, 9)]
    cells[tuple(inner[chosen].T)] = False
    xs, ys = (np.cumsum(rng.uniform(0.6, 1.4, size + 1)) for size in cells.shape)
    return cells, (xs, ys, rng.uniform(0.3, 1.2))


def extruded(cells: Cells, grid: Grid) -> trimesh.Trimesh:
    """The surface of a plate: both faces of each cell that is there, and walls where one ends."""
    xs, ys, thickness = grid
    quads = []
    full = np.pad(cells, 1)
    for i, j in np.argwhere(cells).tolist():
        (x0, x1), (y0, y1) = xs[i : i + 2], ys[j : j + 2]
        a, b, c, d = (x0, y0), (x1, y0), (x1, y1), (x0, y1)
        quads.append([(*p, thickness) for p in (a, b, c, d)])
        quads.append([(*p, 0.0) for p in (d, c, b, a)])
        for (di, dj), (p, q) in {
            (0, -1): (a, b), (1, 0): (b, c), (0, 1): (c, d), (-1, 0): (d, a)
        }.items():  # fmt: skip
            if not full[i + 1 + di, j + 1 + dj]:
                quads.append([(*p, 0.0), (*q, 0.0), (*q, thickness), (*p, thickness)])
    corners = np.array(quads).reshape(-1, 3)
    halves = np.array([[0, 1, 2], [0, 2, 3]])
    faces = (np.arange(0, len(corners), 4)[:, None, None] + halves).reshape(-1, 3)
    return trimesh.Trimesh(corners, faces)


def with_one_hole_more(cells: Cells, rng: np.random.Generator) -> Cells:
    """Take one more of the inner cells away."""
    inner = np.argwhere(cells[1:-1, 1:-1]) + 1
    changed = cells.copy()
    changed[tuple(inner[rng.integers(len(inner))])] = False
    return changed


def split(mesh: trimesh.Trimesh, rng: np.random.Generator) -> trimesh.Trimesh:
    """The same surface in other triangles: each cut in three at a point of its own."""
    corners = mesh.triangles
    shares = rng.dirichlet((2, 2, 2), len(corners))
    inner = np.einsum("tc,tci->ti", shares, corners)
    cut = [np.stack([corners[:, k], corners[:, k - 2], inner], axis=1) for k in range(3)]
    return trimesh.Trimesh(**trimesh.triangles.to_kwargs(np.concatenate(cut)))


def chiral(mesh: trimesh.Trimesh, rng: np.random.Generator) -> trimesh.Trimesh:
    """The shape with three unlike boxes at its sides, which no mirror image is turned into."""
    size = np.ptp(mesh.vertices, axis=0).max()
    boxes = []
    for share in (0.35, 0.22, 0.14):
        box = trimesh.creation.box(size * share * rng.uniform(0.6, 1.0, 3))
        box.apply_translation(mesh.vertices[rng.integers(len(mesh.vertices))])
        boxes.append(box)
    return trimesh.util.concatenate([mesh, *boxes])


def turned(mesh: trimesh.Trimesh, rng: np.random.Generator) -> trimesh.Trimesh:
    """The shape turned by any rotation."""
    return transformed(mesh, Rotation.random(rng=rng).as_matrix())


def transformed(mesh: trimesh.Trimesh, matrix: NDArray[np.float64]) -> trimesh.Trimesh:
    """The shape under a linear map, its faces still outward."""
    faces = mesh.faces if np.linalg.det(matrix) > 0 else mesh.faces[:, ::-1]
    return trimesh.Trimesh(mesh.vertices @ matrix.T, faces, process=False)


def noisy(mesh: trimesh.Trimesh, rng: np.random.Generator) -> trimesh.Trimesh:
    """Every vertex moved by noise of half a percent of the bounding box's diagonal."""
    sigma = 0.005 * np.linalg.norm(np.ptp(mesh.vertices, axis=0))
    moved = mesh.vertices + rng.normal(scale=sigma, size=mesh.vertices.shape)
    return trimesh.Trimesh(moved, mesh.faces, process=False)


_COPIES: dict[str, Callable[[trimesh.Trimesh, np.random.Generator], trimesh.Trimesh]] = {
    "re-exported": lambda mesh, rng: mesh,
    "re-triangulated": split,
    "scaled": lambda mesh, rng: transformed(
        mesh, np.eye(3) * rng.choice([25.4, 1 / 25.4, 1000.0, rng.uniform(1.1, 5)])
    ),
    "turned": turned,
    "mirrored": lambda mesh, rng: turned(transformed(mesh, np.diag([-1.0, 1, 1])), rng),
    "noise of 0.5 %": noisy,
}


def plant(folder: Path, count: int, share: float, seed: int = SEED) -> dict[tuple[str, str], str]:
    """Write a collection.

    Args:
        folder: to write to.
        count: shapes, copies included.
        share: of them that are copies, the kinds in turn.
        seed: of all that is drawn.

    Returns:
        The kinds of the planted pairs, by the ids of both.
    """
    rng = np.random.default_rng(seed)
    copies = round(count * share)
    kinds = [list(FOUND_AS)[k % len(FOUND_AS)] for k in range(copies)]
    own = _own_meshes()
    originals = count - copies
    planted: dict[tuple[str, str], str] = {}
    for index in range(originals):
        kind = kinds[index] if index < copies else None
        cells, grid = plate(rng)
        if kind == "one hole more" or (kind is None and rng.random() < _PLATES):
            name, mesh = "plate", extruded(cells, grid)
        elif own and index % 8 == 7:
            name, mesh = own.pop()
        else:
            corners = make_mesh(seed, index)
            name = CLASSES[index % len(CLASSES)]
            mesh = trimesh.Trimesh(**trimesh.triangles.to_kwargs(corners))
            mesh.merge_vertices()
        if kind == "mirrored":
            mesh = chiral(mesh, rng)
        first = _write(mesh, folder / name / f"{index:05d}.off")
        if kind is None:
            continue
        copy = folder / "copies" / f"{index:05d}-of-{name}"
        if kind == "same file":
            second = copy.with_suffix(".off")
            second.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(first, second)
        else:
            made = (
                extruded(with_one_hole_more(cells, rng), grid)
                if kind == "one hole more"
                else _COPIES[kind](mesh, rng)
            )
            suffixes = (".stl", ".ply", ".obj") if kind == "re-exported" else (".off", ".stl")
            second = _write(made, copy.with_suffix(rng.choice(suffixes)))
        pair = sorted((f"{name}/{index:05d}", f"copies/{copy.name}"))
        planted[pair[0], pair[1]] = kind
    return planted


def _own_meshes() -> list[tuple[str, trimesh.Trimesh]]:
    folder = Path(os.environ.get("PC_CRVAE_DATA", "datasets")) / "psb_off"
    found = []
    for path in sorted(folder.rglob("*.off"), reverse=True):
        surface = read_surface(path)
        mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
        found.append((path.parent.name, mesh))
    return found


def _write(mesh: trimesh.Trimesh, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    mesh.export(path)
    return path


def table(analysis: Analysis, ids: tuple[str, ...], planted: dict[tuple[str, str], str]) -> str:
    """Return a line a kind: planted, found as what they are, precision and recall."""
    found = {(ids[pair.first], ids[pair.second]): pair.kind for pair in analysis.findings}
    lines = [
        "| planted | pairs | recall | found as | findings | precision |",
        "|---|---:|---:|---|---:|---:|",
    ]
    for kind, told in FOUND_AS.items():
        pairs = [pair for pair, planted_as in planted.items() if planted_as == kind]
        hits = sum(found.get(pair) == told for pair in pairs)
        of_kind = [pair for pair, found_as in found.items() if found_as == told]
        right = sum(FOUND_AS.get(planted.get(pair, "")) == told for pair in of_kind)
        recall = f"{hits / len(pairs):.3f}" if pairs else "-"
        precision = f"{right / len(of_kind):.3f}" if of_kind else "-"
        lines.append(
            f"| {kind} | {len(pairs)} | {recall} | {told} | {len(of_kind)} | {precision} |"
        )
    return "\n".join(lines)


def missed(analysis: Analysis, ids: tuple[str, ...], planted: dict[tuple[str, str], str]) -> str:
    """Return a line for each planted pair that was not found as what it is, and each other one."""
    found = {(ids[pair.first], ids[pair.second]): pair for pair in analysis.findings}
    lines = [
        f"missed: {kind}: {' and '.join(pair)}: {found[pair].kind if pair in found else 'nothing'}"
        for pair, kind in planted.items()
        if (found[pair].kind if pair in found else None) != FOUND_AS[kind]
    ]
    for pair, finding in found.items():
        if pair not in planted:
            apart = finding.comparison.apart
            lines.append(f"not planted: {finding.kind}: {' and '.join(pair)}, {apart:.2%} apart")
    return "\n".join(lines)


def read(folder: Path, ckpt: Path, kept: Path) -> Collection:
    """Read and embed the collection."""
    saved = SavedModel.open(ckpt, device="auto")
    model = saved.point_model
    about = About(model_sha256=saved.weights_sha256, points=model.points, up=up_in_full(None))
    with open_store(kept) as store:
        return read_files(find_shape_files([folder]), model, about, store)


def main() -> None:
    """Plant, find and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", type=int, default=300)
    parser.add_argument("--share", type=float, default=0.1, help="of the shapes that are copies")
    parser.add_argument("--ckpt", type=Path, required=True, help="a saved model of points")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--folder", type=Path, help="to plant in (default: a temporary one)")
    parser.add_argument("--missed", action="store_true", help="name what was missed or is wrong")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "shapes"
        planted = plant(folder, options.shapes, options.share, options.seed)
        started = time.monotonic()
        collection = read(folder, options.ckpt, Path(temporary) / "kept.sqlite")
        embedded = time.monotonic()
        analysis = analyse(collection)
        done = time.monotonic()
    ids = collection.embeddings.ids
    print(table(analysis, ids, planted))
    print(f"\n{Counter(pair.kind for pair in analysis.findings)}")
    print(
        f"{len(ids):,} shapes: read and embedded in {embedded - started:.0f} s, compared, grouped "
        f"and laid out in {done - embedded:.0f} s"
    )
    if options.missed:
        print(missed(analysis, ids, planted))


if __name__ == "__main__":
    main()
