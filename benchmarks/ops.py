"""Single operators, each against the usual code and the library one would pick."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree
from torch import Tensor, nn

from benchmarks.clouds import FULL, QUICK, Sizes, collapsed, spread_pair
from benchmarks.memory import added_memory
from benchmarks.report import Row, say
from benchmarks.textbook import models as textbook
from benchmarks.timing import Action, Effort, alternate
from pc_crvae.geometry import (
    chamfer_distance,
    farthest_point_sampling,
    k_nearest_neighbors,
    mutual_nearest_neighbors,
    nearest_neighbors,
    pool_neighbors,
)
from pc_crvae.models.points.dgcnn import EdgeConv

Contenders = tuple[Action, Action]
"""Ours and the reference."""


@dataclass(frozen=True)
class Case:
    """An operator and what it is compared with.

    Attributes:
        inputs: in words, after batch and points.
        reference: in words.
        make: makes both contenders, given batch and points.
        in_features: whether it works on the smaller clouds of feature space.
        memory: whether the memory that it adds is worth a row.
    """

    inputs: str
    reference: str
    make: Callable[[int, int], Contenders]
    in_features: bool = False
    memory: bool = True


def run(*, quick: bool) -> Iterator[Row]:
    """Measure every case."""
    effort = Effort(0, 1, 1) if quick else Effort(1.5, 5, 20)
    for name, case in CASES.items():
        batch, points = _size(case, QUICK if quick else FULL)
        times = alternate(actions(name, quick=quick), effort)
        memory = {}
        if case.memory and (not quick or name == _FIRST):
            memory = added_memory("ops", name, quick=quick)
        row = Row(
            "ops",
            name,
            "float32",
            times["ours"],
            times["reference"],
            case.reference,
            case.inputs,
            batch,
            points,
            ours_added_mb=memory.get("ours"),
            reference_added_mb=memory.get("reference"),
        )
        say(f"ops: {name}, {row.ours_ms:.3g} ms, {row.ratio:.3g} times as fast as {row.reference}")
        yield row


def actions(name: str, *, quick: bool) -> dict[str, Action]:
    """Both contenders of a case."""
    torch.manual_seed(0)
    case = CASES[name]
    ours, reference = case.make(*_size(case, QUICK if quick else FULL))
    return {"ours": ours, "reference": reference}


def _size(case: Case, sizes: Sizes) -> tuple[int, int]:
    return sizes.batch, sizes.feature_points if case.in_features else sizes.points


def forward_and_backward(function: Callable[..., Tensor], *inputs: Tensor) -> Action:
    """Call ``function`` and take the gradient of its sum in all ``inputs``."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    return lambda: torch.autograd.grad(function(*leaves).sum(), leaves)


def _chamfer(reference: Callable[[Tensor, Tensor], Tensor]) -> Callable[[int, int], Contenders]:
    def make(batch: int, points: int) -> Contenders:
        pair = spread_pair(batch, points)
        ours = forward_and_backward(chamfer_distance, *pair)
        return ours, forward_and_backward(reference, *pair)

    return make


def _search(*, is_collapsed: bool, mutual: bool) -> Callable[[int, int], Contenders]:
    def make(batch: int, points: int) -> Contenders:
        query, reference = spread_pair(batch, points)
        if is_collapsed:
            reference = collapsed(batch, points)

        def by_tree() -> None:
            for x, y in zip(query.numpy(), reference.numpy(), strict=True):
                cKDTree(y).query(x, workers=torch.get_num_threads())
                if mutual:
                    cKDTree(x).query(y, workers=torch.get_num_threads())

        search = mutual_nearest_neighbors if mutual else nearest_neighbors
        return lambda: search(query, reference), by_tree

    return make


def _k_nearest(batch: int, points: int) -> Contenders:
    cloud, _ = spread_pair(batch, points)
    return (
        lambda: k_nearest_neighbors(cloud, 16),
        lambda: textbook.k_nearest_neighbors(cloud, 16),
    )


def _k_nearest_in_features(batch: int, points: int) -> Contenders:
    features, _ = features_and_neighbors(batch, points)
    return (
        lambda: k_nearest_neighbors(features, 20),
        lambda: textbook.k_nearest_neighbors(features, 20),
    )


def edge_convolutions(batch: int, points: int, *, compiled: bool) -> dict[str, Action]:
    """Steps of an edge convolution: ours, the library's, the textbook's, and that compiled."""
    from torch_geometric.nn import EdgeConv as GeometricEdgeConv

    features, neighbors = features_and_neighbors(batch, points)
    perceptron = nn.Sequential(
        nn.Linear(128, 64, bias=False), nn.BatchNorm1d(64), nn.LeakyReLU(0.2)
    )
    offsets = points * torch.arange(batch).view(-1, 1, 1)
    targets = torch.arange(batch * points).repeat_interleave(neighbors.shape[2])
    edges = torch.stack([(neighbors + offsets).flatten(), targets])
    steps = {
        "ours": _module_step(EdgeConv(64, 64), features, neighbors),
        "torch_geometric.nn.EdgeConv": _module_step(
            GeometricEdgeConv(perceptron, aggr="max"), features.flatten(0, 1), edges
        ),
        "the textbook form": _module_step(textbook.EdgeConv(64, 64), features, neighbors),
    }
    if compiled:
        module = cast(nn.Module, torch.compile(textbook.EdgeConv(64, 64)))
        steps["torch.compile of the textbook form"] = _module_step(module, features, neighbors)
    return steps


def _edge_conv_as_textbook(batch: int, points: int) -> Contenders:
    steps = edge_convolutions(batch, points, compiled=False)
    return steps["ours"], steps["the textbook form"]


def _edge_conv_as_library(batch: int, points: int) -> Contenders:
    steps = edge_convolutions(batch, points, compiled=False)
    return steps["ours"], steps["torch_geometric.nn.EdgeConv"]


def _module_step(module: nn.Module, features: Tensor, graph: Tensor) -> Action:
    """Forward and the gradients of the input and of all parameters."""
    leaf = features.detach().requires_grad_()
    leaves = [leaf, *module.parameters()]
    return lambda: torch.autograd.grad(module(leaf, graph).sum(), leaves)


def features_and_neighbors(batch: int, points: int) -> tuple[Tensor, Tensor]:
    """What two untrained edge convolutions make of clouds (B, N, 64), and its 20 neighbours."""
    cloud, _ = spread_pair(batch, points)
    with torch.no_grad():
        features = cloud
        for layer in (textbook.EdgeConv(3, 64), textbook.EdgeConv(64, 64)):
            features = layer(features, textbook.k_nearest_neighbors(features, 20))
    return features, textbook.k_nearest_neighbors(features, 20)


def _gather_max(*, by_bags: bool, backward: bool) -> Callable[[int, int], Contenders]:
    def make(batch: int, points: int) -> Contenders:
        features, neighbors = features_and_neighbors(batch, points)
        offsets = points * torch.arange(batch).view(-1, 1, 1)
        bags = (neighbors + offsets).flatten(0, 1)  # (B * N, k)

        def ours(features: Tensor) -> Tensor:
            return pool_neighbors(features, neighbors, with_sum=False).extreme

        def reference(features: Tensor) -> Tensor:
            if by_bags:
                return F.embedding_bag(bags, features.flatten(0, 1), mode="max")
            return textbook.gather_neighbors(features, neighbors).max(dim=2).values

        if backward:
            return forward_and_backward(ours, features), forward_and_backward(reference, features)
        return lambda: ours(features), lambda: reference(features)

    return make


def _farthest(batch: int, points: int) -> Contenders:
    cloud, _ = spread_pair(batch, points)
    return (
        lambda: farthest_point_sampling(cloud, points // 4),
        lambda: textbook.farthest_point_sampling(cloud, points // 4),
    )


_FIRST = "Chamfer distance, forward and backward"
_ONE_WAY, _BOTH_WAYS = "nearest neighbours, one way", "nearest neighbours, both ways"
_TREE = "scipy's cKDTree with as many workers, built and queried"
_EDGES = "64 features of untrained edge convolutions, 20 neighbours given, batch-norm"

CASES: dict[str, Case] = {
    _FIRST: Case("spread clouds", "torch.cdist", _chamfer(textbook.chamfer_distance_by_cdist)),
    f"{_FIRST} (against matmul)": Case(
        "spread clouds",
        "the N x N matrix by matmul",
        _chamfer(textbook.chamfer_distance),
    ),
    f"{_ONE_WAY}, spread": Case(
        "spread clouds", _TREE, _search(is_collapsed=False, mutual=False), memory=False
    ),
    f"{_ONE_WAY}, collapsed": Case(
        "spread queries, collapsed reference",
        _TREE,
        _search(is_collapsed=True, mutual=False),
        memory=False,
    ),
    f"{_BOTH_WAYS}, spread": Case(
        "spread clouds", _TREE, _search(is_collapsed=False, mutual=True), memory=False
    ),
    f"{_BOTH_WAYS}, collapsed": Case(
        "a spread and a collapsed cloud",
        _TREE,
        _search(is_collapsed=True, mutual=True),
        memory=False,
    ),
    "kNN in space, k = 16": Case("spread clouds", "matmul and topk", _k_nearest),
    "kNN in feature space, k = 20": Case(
        "64 features of untrained edge convolutions",
        "matmul and topk",
        _k_nearest_in_features,
        in_features=True,
    ),
    **{
        f"gather-max{suffix}, {count} points, against {'bags' if by_bags else 'indexing'}": Case(
            "64 features, 20 neighbours given",
            'embedding_bag(mode="max")' if by_bags else "an indexed gather, then max",
            _gather_max(by_bags=by_bags, backward=backward),
            in_features=count == "1,024",
            memory=backward and not by_bags,
        )
        for suffix, backward in (("", False), (", forward and backward", True))
        for count in ("1,024", "2,048")
        for by_bags in (True, False)
    },
    "EdgeConv, forward and backward": Case(
        _EDGES, "torch_geometric.nn.EdgeConv", _edge_conv_as_library, in_features=True
    ),
    "EdgeConv, forward and backward (against the textbook)": Case(
        _EDGES, "every edge's input formed", _edge_conv_as_textbook, in_features=True
    ),
    "farthest point sampling, one point in four": Case(
        "spread clouds", "the plain loop in PyTorch", _farthest, memory=False
    ),
}
