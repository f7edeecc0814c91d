"""What a configuration leaves open is chosen once, as a run starts, and kept when it is resumed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

from pc_crvae.config import Config, settled_as, with_training
from pc_crvae.runs.folder import Run
from pc_crvae.training.distributed import Processes
from pc_crvae.training.half_precision import PAYS, bfloat16_slowdown
from pc_crvae.utils.threads import (
    gnu_openmp_of_torch,
    is_count_set,
    is_way_of_waiting_set,
    usable_cores,
)

_PRECISIONS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")


def settle(config: Config, processes: Processes, resumed: Run | None) -> tuple[Config, list[str]]:
    """Choose the precision and the number of threads, in the main process for all of them.

    Args:
        config: the configuration as the user gave it.
        processes: those that train together.
        resumed: the run that is gone on with, which keeps what it has; None for a new one.

    Returns:
        The configuration with what was chosen, and sentences for the user about the choices.

    Raises:
        UserError: there is no run to resume, or its configuration is damaged.
    """
    notes: list[str] = []
    chosen: dict[str, Any] = {"precision": None, "threads": 0}
    with processes.failing_together():
        if processes.is_main:
            recorded = None if resumed is None else resumed.recorded_config()
            if recorded is not None:
                notes += _notes_on_resumption(config, recorded)
                config = settled_as(config, recorded)
            precision, note = _precision(config, processes.device, is_resumed=resumed is not None)
            notes += [note] if note else []
            chosen = {"precision": precision, "threads": config.training.threads or _threads()}
    place = -1 if chosen["precision"] is None else _PRECISIONS.index(chosen["precision"])
    precision = _PRECISIONS[processes.agree(place)]
    threads = processes.agree(chosen["threads"])
    told = is_way_of_waiting_set() or gnu_openmp_of_torch() is not None
    if processes.device.type == "cpu" and threads > 1 and not told:
        notes.append(
            "note: torch was loaded before anything said how its threads wait, and they spin, "
            "which makes training many times slower beside other work: set "
            "OMP_WAIT_POLICY=PASSIVE in the environment before torch is imported"
        )
    agreed = {"precision": precision, "threads": threads}
    return with_training(config, agreed), notes


@contextmanager
def threads_of_torch(count: int | None) -> Iterator[None]:
    """Have torch and the kernels, which follow it, compute with ``count`` threads in the block."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _threads() -> int:
    """As many as torch would take, which the environment may say, within the cores allowed."""
    default = torch.get_num_threads()
    return default if is_count_set() else min(default, usable_cores())


def _precision(
    config: Config, device: torch.device, *, is_resumed: bool
) -> tuple[Literal["float32", "bfloat16"], str | None]:
    """The precision to train in, and a note where the user should know of it."""
    asked = config.training.precision
    if asked == "float32" or (asked == "bfloat16" and device.type != "cpu"):
        return asked, None
    slowdown = bfloat16_slowdown(device)
    if asked == "bfloat16":
        if slowdown <= 1.5:
            return asked, None
        advice = (
            "the run keeps the precision that it was started with"
            if is_resumed
            else "training.precision=auto or float32 trains the same model sooner here"
        )
        return asked, (
            f"note: this processor multiplies {slowdown:.0f} times as slowly in bfloat16 as in "
            f"float32: {advice}"
        )
    what = "processor" if device.type == "cpu" else "card"
    if slowdown <= 1 / PAYS:
        return "bfloat16", (
            f"training.precision auto: bfloat16, in which this {what} multiplies "
            f"{1 / slowdown:.1f} times as fast as in float32"
        )
    speed = (
        f"{slowdown:.1f} times as slowly" if slowdown > 1 else f"{1 / slowdown:.1f} times as fast"
    )
    return (
        "float32",
        f"training.precision auto: float32; this {what} multiplies {speed} in bfloat16",
    )


def _notes_on_resumption(config: Config, recorded: Config) -> Iterator[str]:
    given, before = config.training.threads, recorded.training.threads
    if given is not None and before is not None and given != before:
        yield (
            f"note: the run had {before} threads and goes on with {given}: what follows is rounded "
            f"otherwise than with {before}"
        )
