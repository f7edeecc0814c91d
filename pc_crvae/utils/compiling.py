"""Functions compiled by numba, and kept on disk."""

import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numba
from numba.core.event import Event, Listener, install_listener

_MESSAGE_AFTER_SECONDS = 2.0


def compiled(function: Callable[..., Any]) -> Any:
    """Compile ``function`` at its first call, once for each dtype, and keep it on disk.

    The copy on disk is renewed when the file of ``function`` changes, not when another file
    does, so a kernel calls compiled functions of its own file only.
    """
    compiling = numba.njit(nogil=True, error_model="numpy")
    kernel = compiling(function)
    try:
        kernel.enable_caching()
    except RuntimeError:  # numba's word for: no folder to keep it in
        _warn_of_no_cache()
    return kernel


@cache
def _warn_of_no_cache() -> None:
    warnings.warn(
        "pc_crvae compiles its kernels anew in every process, as it finds no folder it may keep "
        "them in: name one in NUMBA_CACHE_DIR",
        stacklevel=4,
    )


def inlined(function: Callable[..., Any]) -> Any:
    """Compile ``function`` into its callers, where LLVM sees that its arrays do not overlap."""
    return numba.njit(nogil=True, error_model="numpy", inline="always")(function)


def telling_of_compiling() -> AbstractContextManager[None]:
    """Say once in a process, within the context, why the user waits where compiling takes long."""
    context: AbstractContextManager[None] = install_listener("numba:compile", _TellingOfCompiling())
    return context


class _TellingOfCompiling(Listener):  # type: ignore[misc]
    """Says once why the caller waits, where something is compiled that takes long.

    What was compiled before is loaded from the disk, which is no such event, however busy the
    machine is.
    """

    def __init__(self) -> None:
        self._timers: list[threading.Timer] = []  # of functions compiled into each other

    def on_start(self, event: Event) -> None:
        """Begin to wait."""
        timer = threading.Timer(_MESSAGE_AFTER_SECONDS, _tell_of_compiling)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def on_end(self, event: Event) -> None:
        """End the wait."""
        self._timers.pop().cancel()


@cache
def _tell_of_compiling() -> None:
    sys.stderr.write(
        "pc_crvae: compiling kernels for this processor, once; it takes some seconds\n"
    )
    sys.stderr.flush()
