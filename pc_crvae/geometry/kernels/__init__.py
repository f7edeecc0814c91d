"""Kernels, one package or module a device, and the choice between fast ones and plain PyTorch.

Each has every operation of `Kernels`, and hands to plain PyTorch (`reference`) what it is not fast
at. The functions of `pc_crvae.geometry` are what to call.
"""

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal, cast, get_args

import torch

from pc_crvae.errors import UserError
from pc_crvae.geometry.kernels import reference
from pc_crvae.geometry.kernels.operations import Kernels

Mode = Literal["auto", "fast", "reference"]

_VARIABLE = "PC_CRVAE_KERNELS"
_forced: Mode | None = None


def kernels_for(device: torch.device) -> Kernels:
    """The kernels for tensors on ``device``: fast ones, or plain PyTorch where there are none.

    ``PC_CRVAE_KERNELS=reference`` in the environment makes it plain PyTorch everywhere, ``fast``
    refuses a device without kernels.

    Raises:
        UserError: another value in the environment, or ``fast`` and no fast kernels.
    """
    mode = _mode()
    if mode == "reference":
        return reference
    kernels = _kernels_of(device.type)
    if kernels is reference and mode == "fast":
        raise UserError(
            f"{_VARIABLE}=fast, but there are no fast kernels for {device.type}: unset it, and "
            "plain PyTorch serves there"
        )
    return kernels


@contextmanager
def forced(mode: Mode) -> Iterator[None]:
    """Use ``reference`` or ``fast`` kernels, or choose by device (``auto``), whatever is set."""
    global _forced
    before, _forced = _forced, mode
    try:
        yield
    finally:
        _forced = before


def _mode() -> Mode:
    if _forced is not None:
        return _forced
    mode = os.environ.get(_VARIABLE, "auto") or "auto"
    if mode not in get_args(Mode):
        raise UserError(f"{_VARIABLE} must be reference, fast or auto, not {mode!r}")
    return cast(Mode, mode)


@cache
def _kernels_of(device_type: str) -> Kernels:
    if device_type == "cpu":
        from pc_crvae.geometry.kernels import cpu

        return cpu
    # CUDA builds of torch bring Triton on Linux, and not everywhere else.
    if device_type == "cuda" and importlib.util.find_spec("triton") is not None:
        from pc_crvae.geometry.kernels import cuda

        return cuda
    return reference
