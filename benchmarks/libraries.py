"""Processor time of operators against the libraries that a user would pick, one thread each.

    python -m benchmarks.libraries --json libraries.json

fpsample, faiss-cpu and POT are no dependencies: what is not installed is said, and left out. So is
`torch.compile` where no C++ compiler is found. Each contender is given what it takes (arrays, or
clouds of its own type), made beforehand; trees and indexes are built within the time.
"""

import argparse
import importlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from benchmarks.clouds import spread_pair
from benchmarks.machine import describe_machine
from benchmarks.ops import edge_convolutions, features_and_neighbors
from benchmarks.timing import Action, Effort, alternate
from pc_crvae.evaluation.metrics.reconstruction import earth_movers_distance
from pc_crvae.geometry import (
    farthest_point_sampling,
    k_nearest_neighbors,
    mutual_nearest_neighbors,
)

Contenders = dict[str, Action]
_OURS = "ours"


def main() -> None:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.libraries")
    parser.add_argument("--json", type=Path, metavar="FILE", required=True)
    parser.add_argument("--points", type=int, default=100_000, help="points of a large cloud")
    parser.add_argument("--seconds", type=float, default=3.0, help="spent on each operator")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report: dict[str, object] = {"machine": describe_machine(), "points": options.points}
    rows: dict[str, dict[str, float]] = {}
    print("| operator | contender | ms | times ours |\n| --- | --- | ---: | ---: |")
    for name, make in OPERATORS.items():
        effort = Effort(options.seconds, 3, 15)
        rows[name] = alternate(make(options.points), effort, clock=time.process_time)
        for contender, ms in rows[name].items():
            print(f"| {name} | {contender} | {ms:.4g} | {ms / rows[name][_OURS]:.2f} |", flush=True)
    options.json.write_text(json.dumps(report | {"ms": rows}, indent=1) + "\n", encoding="utf-8")


def _optional(module: str, contenders: Callable[..., Mapping[str, Action]]) -> Contenders:
    """The contenders of a library that may not be installed; none of one that is not."""
    try:
        library = importlib.import_module(module)
    except ImportError:
        print(f"({module} is not installed: left out)")
        return {}
    return dict(contenders(library))


def _pair(points: int) -> tuple[torch.Tensor, torch.Tensor]:
    return spread_pair(1, points)


def _k_nearest(points: int) -> Contenders:
    cloud, _ = _pair(points)
    array = cloud[0].numpy()

    def of_open3d(core: Any) -> Contenders:
        def search() -> None:
            index = core.nns.NearestNeighborSearch(core.Tensor(array))
            index.knn_index()
            index.knn_search(core.Tensor(array), 16)

        return {"Open3D NearestNeighborSearch": search}

    return {
        _OURS: lambda: k_nearest_neighbors(cloud, 16),
        "scipy cKDTree": lambda: cKDTree(array).query(array, 16),
    } | _optional("open3d.core", of_open3d)


def _both_ways(points: int) -> Contenders:
    x, y = _pair(points)
    first, second = x[0].numpy(), y[0].numpy()

    def by_scipy() -> None:
        cKDTree(second).query(first)
        cKDTree(first).query(second)

    return {_OURS: lambda: mutual_nearest_neighbors(x, y), "scipy cKDTree": by_scipy}


def _farthest(points: int) -> Contenders:
    cloud, _ = _pair(points)
    array: NDArray[np.float32] = cloud[0].numpy()
    count = min(4096, points // 4)

    def of_open3d(library: Any) -> Contenders:
        places = library.utility.Vector3dVector(array)
        theirs = library.geometry.PointCloud(places)
        return {"Open3D": lambda: theirs.farthest_point_down_sample(count)}

    def of_fpsample(library: Any) -> Contenders:
        def sampling(height: int) -> Action:
            return lambda: library.bucket_fps_kdline_sampling(array, count, height, start_idx=0)

        return {f"fpsample, kdline of height {h}": sampling(h) for h in (5, 7, 9)}

    return (
        {_OURS: lambda: farthest_point_sampling(cloud, count)}
        | _optional("fpsample", of_fpsample)
        | _optional("open3d", of_open3d)
    )


def _in_features(points: int) -> Contenders:
    features, _ = features_and_neighbors(8, 1024)
    arrays = features.numpy()

    def of_faiss(library: Any) -> Contenders:
        library.omp_set_num_threads(1)

        def search() -> None:
            for array in arrays:
                index = library.IndexFlatL2(array.shape[1])
                index.add(array)
                index.search(array, 20)

        return {"faiss IndexFlatL2": search}

    return {_OURS: lambda: k_nearest_neighbors(features, 20)} | _optional("faiss", of_faiss)


def _edge_conv(points: int) -> Contenders:
    contenders = edge_convolutions(8, 1024, compiled=shutil.which("g++") is not None)
    if "torch.compile of the textbook form" not in contenders:
        print("(no g++ is found: torch.compile is left out)")
    return contenders


def _earth_movers(points: int) -> Contenders:
    x, y = (cloud[0].numpy() for cloud in _pair(1024))

    def by_scipy() -> None:
        costs = cdist(x, y)
        linear_sum_assignment(costs)

    def of_pot(library: Any) -> Contenders:
        def exact() -> None:
            library.emd2([], [], cdist(x, y))

        return {"POT emd2": exact}

    return {
        _OURS: lambda: earth_movers_distance(x, y),
        "scipy linear_sum_assignment": by_scipy,
    } | _optional("ot", of_pot)


OPERATORS: dict[str, Callable[[int], Contenders]] = {
    "kNN in space, k = 16": _k_nearest,
    "nearest neighbours, both ways": _both_ways,
    "farthest points, 4,096": _farthest,
    "kNN in feature space, 8 x 1,024, k = 20": _in_features,
    "EdgeConv, forward and backward, 8 x 1,024": _edge_conv,
    "earth mover's distance, 1,024 points": _earth_movers,
}


if __name__ == "__main__":
    main()
