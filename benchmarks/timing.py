"""Alternating timings: whatever else the machine does, it does to every contender alike."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

Action = Callable[[], object]
Clock = Callable[[], float]

_SHORT = 0.03
"""Seconds below which an action is called several times a turn."""


@dataclass(frozen=True)
class Effort:
    """How long contenders are measured.

    Attributes:
        seconds: rounds go on until this much time is spent, all contenders together.
        at_least: rounds measured whatever the time.
        at_most: rounds after which it ends.
    """

    seconds: float
    at_least: int
    at_most: int


def alternate(
    actions: Mapping[str, Action],
    effort: Effort,
    *,
    warm_up: bool = True,
    clock: Clock = time.perf_counter,
) -> dict[str, float]:
    """Return the median milliseconds of each action, measured turn by turn.

    A round gives each action one turn: one call, or of a short action several, so that most of
    them find its data in the caches as a loop would.

    Args:
        actions: contenders by name.
        effort: how many rounds.
        warm_up: call each before, which compiles kernels and starts threads.
        clock: gives seconds. `time.process_time`, which counts those of all threads of this
            process, tells more on a machine that others keep busy.
    """
    if warm_up:
        for action in actions.values():
            action()
    milliseconds: dict[str, list[float]] = {name: [] for name in actions}
    gc.collect()
    started = time.perf_counter()
    for done in range(effort.at_most):
        if done >= effort.at_least and time.perf_counter() - started > effort.seconds:
            break
        for name, action in actions.items():
            first = _milliseconds(action, clock)
            calls = min(10, math.ceil(_SHORT / max(first / 1000, 1e-6)))
            milliseconds[name] += [
                first,
                *(_milliseconds(action, clock) for _ in range(calls - 1)),
            ]
    return {name: statistics.median(times) for name, times in milliseconds.items()}


def synchronized(action: Action, device: torch.device) -> Action:
    """The action and the wait for the device that computes it; a CPU is never waited for."""
    if device.type == "cpu":
        return action

    def finished() -> None:
        action()
        torch.accelerator.synchronize(device)

    return finished


def _milliseconds(action: Action, clock: Clock) -> float:
    started = clock()
    action()
    return 1000 * (clock() - started)
