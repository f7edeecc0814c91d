"""Time and memory against the number of points, one cloud at a time."""

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor

from benchmarks.clouds import FULL, QUICK, collapsed, spread_pair
from benchmarks.memory import added_memory
from benchmarks.ops import forward_and_backward
from benchmarks.report import Row, say
from benchmarks.textbook import models as textbook
from benchmarks.timing import Action, Effort, alternate
from pc_crvae.geometry import chamfer_distance, k_nearest_neighbors

Cloud = Literal["spread", "collapsed"]

_K = 16
_ONE_OF = 64
"""In a collapsed cloud whose own neighbours are sought, one point of so many stays spread."""
_LONG_MS = 1000.0
"""After a size that took so long, the next is measured without a warm-up."""
_LONGEST_MS = 30_000.0
"""A series ends before a size that would take longer, judged by the square of the size."""

_INPUTS = {
    ("Chamfer", "spread"): "two spread clouds, forward and backward",
    ("Chamfer", "collapsed"): "a spread and a collapsed cloud, forward and backward",
    ("kNN", "spread"): f"a spread cloud, k = {_K}",
    ("kNN", "collapsed"): f"a collapsed cloud with one point of {_ONE_OF} spread, k = {_K}",
}
_REFERENCES = {"Chamfer": "the N x N matrix by matmul", "kNN": "matmul and topk"}


def run(*, quick: bool) -> Iterator[Row]:
    """Measure every operator on both kinds of cloud, sizes rising."""
    sizes = QUICK if quick else FULL
    effort = Effort(0, 1, 1) if quick else Effort(0.6, 2, 15)
    for operator, cloud in _INPUTS:
        memory = {}
        if not quick or (operator, cloud) == ("Chamfer", "spread"):
            memory = added_memory("scaling", f"{operator} {cloud}", quick=quick)
        previous_ms = 0.0
        for points in sizes.scaling:
            if 4 * previous_ms > _LONGEST_MS:
                say(f"scaling: {operator}, {cloud}, left out from {points} points on: too slow")
                break
            with_reference = points <= sizes.largest_reference
            contenders = _contenders(operator, cloud, points, with_reference)
            # A size may be the first to need some kernel; beside seconds that is nothing.
            times = alternate(contenders, effort, warm_up=previous_ms < _LONG_MS)
            previous_ms = times["ours"]
            yield Row(
                "scaling",
                operator,
                "float32",
                times["ours"],
                times.get("reference"),
                _REFERENCES[operator],
                _INPUTS[operator, cloud],
                1,
                points,
                ours_added_mb=memory.get(f"ours {points}"),
                reference_added_mb=memory.get(f"reference {points}"),
                cloud=cloud,
            )
        say(f"scaling: {operator}, {cloud}, {previous_ms:.0f} ms at {points} points")


def actions(name: str, *, quick: bool) -> dict[str, Action]:
    """Ours at every size and the reference at those it is measured at: ``Chamfer spread``."""
    operator, cloud = name.split()
    sizes = QUICK if quick else FULL
    made: dict[str, Action] = {}
    for points in sizes.scaling:
        contenders = _contenders(operator, cloud, points, points <= sizes.largest_reference)
        made |= {f"{label} {points}": action for label, action in contenders.items()}
    return made


def _contenders(operator: str, cloud: str, points: int, with_reference: bool) -> dict[str, Action]:
    first, second = spread_pair(1, points)
    made: dict[str, Action]
    if operator == "Chamfer":
        other = collapsed(1, points) if cloud == "collapsed" else second
        functions: list[Callable[[Tensor, Tensor], Tensor]]
        functions = [chamfer_distance, textbook.chamfer_distance]
        made = {
            label: forward_and_backward(function, first, other)
            for label, function in zip(("ours", "reference"), functions, strict=True)
        }
    else:
        if cloud == "collapsed":
            stays = (torch.arange(points) % _ONE_OF == 0).view(1, -1, 1)
            first = torch.where(stays, first, collapsed(1, points))
        made = {
            "ours": lambda: k_nearest_neighbors(first, _K),
            "reference": lambda: textbook.k_nearest_neighbors(first, _K),
        }
    return made if with_reference else {"ours": made["ours"]}
