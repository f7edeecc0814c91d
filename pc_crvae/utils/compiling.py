"""Functions compiled by numba, and kept on disk."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numba


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
