"""Fast kernels, one package or module a device, and the choice between them and plain PyTorch.

Each device's kernels take checked, detached tensors and know nothing of gradients; the functions
of `pc_crvae.geometry` are what to call. Where a device has none, or none for an operation, plain
PyTorch serves: it is right everywhere, and what the fast kernels are held against.
"""

import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Literal, cast, get_args

import torch

from pc_crvae.errors import UserError

Mode = Literal["auto", "fast", "reference"]

_VARIABLE = "PC_CRVAE_KERNELS"
_forced: Mode | None = None


def kernels_for(device: torch.device) -> ModuleType | None:
    """The fast kernels for tensors on ``device``, or None where plain PyTorch is to serve.

    ``PC_CRVAE_KERNELS=reference`` in the environment makes it None everywhere, ``fast`` refuses
    a device without kernels.

    Raises:
        UserError: another value in the environment, or ``fast`` and no kernels.
    """
    mode = _mode()
    if mode == "reference":
        return None
    kernels = _kernels_of(device.type)
    if kernels is None and mode == "fast":
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
def _kernels_of(device_type: str) -> ModuleType | None:
    if device_type == "cpu":
        return importlib.import_module("pc_crvae.geometry.kernels.cpu")
    # CUDA builds of torch bring Triton on Linux, and not everywhere else.
    if device_type == "cuda" and importlib.util.find_spec("triton") is not None:
        return importlib.import_module("pc_crvae.geometry.kernels.cuda")
    return None
