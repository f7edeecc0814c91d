"""Compiled loops over ranges of items, shared out among torch's own threads.

Kernels are compiled without numba's parallel layer, which aborts in forked processes and where
two threads use it at once. They release the GIL and each thread takes a contiguous range of the
items, so a kernel's result must not depend on where the ranges are cut.
"""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch

from pc_crvae.utils.compiling import compiled as compiled
from pc_crvae.utils.compiling import inlined as inlined
from pc_crvae.utils.compiling import telling_of_compiling
from pc_crvae.utils.threads import gnu_openmp_of_torch

Kernel = Callable[..., None]
"""Compiled function of arrays, their tuples and numbers, then the range of items [start, stop)."""

Part = Callable[[int, int], None]
"""Does the given part of the given number of parts."""

_compiled: set[tuple[Any, ...]] = set()
_pools: dict[int, ThreadPoolExecutor] = {}
_forked = False


def run(kernel: Kernel, items: int, *arguments: Any) -> None:
    """Run ``kernel(*arguments, start, stop)`` over ranges that make up ``range(items)``.

    As many threads take part as torch itself would use (``torch.set_num_threads``).
    """
    key = (kernel, *map(_type_of, arguments))
    if key not in _compiled:
        with telling_of_compiling():
            kernel(*arguments, 0, 0)
        _compiled.add(key)
    threads = min(torch.get_num_threads(), items)
    if threads <= 1:
        kernel(*arguments, 0, items)
        return

    def part_of(part: int, parts: int) -> None:
        kernel(*arguments, items * part // parts, items * (part + 1) // parts)

    openmp = None if _forked else _torch_openmp()
    if openmp is None:
        _run_on_own_threads(part_of, threads)
    else:
        _run_on_openmp_threads(openmp, part_of, threads)


def _type_of(argument: Any) -> Any:
    """What a kernel is compiled anew for: the dtype of an array, or those of a tuple's arrays."""
    if isinstance(argument, tuple):
        return tuple(map(_type_of, argument))
    return getattr(argument, "dtype", None)


@cache
def _torch_openmp() -> ctypes.CDLL | None:
    """The GNU OpenMP runtime that this torch brings, None where it uses another."""
    runtime = gnu_openmp_of_torch()
    return ctypes.CDLL(str(runtime)) if runtime else None


_PARALLEL_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def _run_on_openmp_threads(openmp: ctypes.CDLL, part_of: Part, threads: int) -> None:
    """Run on the very threads of torch's operators.

    They spin for a millisecond or so when an operator ends, so threads of our own would have to
    fight them for the cores at every change between the two.
    """
    failures: list[BaseException] = []
    done: list[int] = []
    team = [threads]

    def body(_: int | None) -> None:
        try:
            part, team[0] = openmp.omp_get_thread_num(), openmp.omp_get_num_threads()
            part_of(part, team[0])
            done.append(part)
        except BaseException as failure:  # which C code between here and the caller would lose
            failures.append(failure)

    openmp.GOMP_parallel(_PARALLEL_BODY(body), None, threads, 0)
    if failures:
        raise failures[0]
    if len(done) < team[0]:
        # A signal's handler raised on the way into the body, where nothing can catch it.
        raise KeyboardInterrupt


def _run_on_own_threads(part_of: Part, threads: int) -> None:
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads - 1, thread_name_prefix="pc_crvae-kernel")
    helpers = [_pools[threads].submit(part_of, part, threads) for part in range(1, threads)]
    part_of(0, threads)
    for helper in helpers:
        helper.result()


def _start_anew() -> None:
    """Forget the threads in a forked child, where they do not live on.

    GNU OpenMP would wait for its own there for ever.
    """
    global _forked
    _forked = True
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
