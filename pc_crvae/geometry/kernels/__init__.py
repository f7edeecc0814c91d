"""Kernels, one package or module a device, and the choice between fast ones and plain PyTorch.

Each has every operation of `Kernels`, and hands to plain PyTorch (`reference`) what it is not fast
at. The functions of `pc_crvae.geometry` are what to call.
"""

import importlib.util
import os
from functools import cache

import torch

from pc_crvae.errors import UserError
from pc_crvae.geometry.kernels import reference
from pc_crvae.geometry.kernels.operations import Kernels
from pc_crvae.utils.differentiation import is_transformed

_VARIABLE = "PC_CRVAE_KERNELS"


def kernels_for(device: torch.device) -> Kernels:
    """The kernels for tensors on ``device``: fast ones, or plain PyTorch where there are none.

    ``PC_CRVAE_KERNELS=reference`` in the environment makes it plain PyTorch everywhere, ``fast``
    refuses a device without kernels. Within `torch.func`'s transforms, forward-mode derivatives
    and exports it is plain PyTorch too, which alone they can follow.

    Raises:
        UserError: another value in the environment, or ``fast`` where fast kernels cannot serve.
    """
    mode = os.environ.get(_VARIABLE, "auto") or "auto"
    if mode not in ("auto", "fast", "reference"):
        raise UserError(f"{_VARIABLE} must be reference, fast or auto, not {mode!r}")
    if mode == "reference":
        return reference
    if is_transformed():
        if mode == "fast":
            raise UserError(
                f"{_VARIABLE}=fast, but torch.func, forward-mode derivatives and exports cannot "
                "follow fast kernels: unset it, and plain PyTorch serves there"
            )
        return reference
    kernels = _kernels_of(device.type)
    if kernels is reference and mode == "fast":
        raise UserError(
            f"{_VARIABLE}=fast, but there are no fast kernels for {device.type}: unset it, and "
            "plain PyTorch serves there"
        )
    return kernels


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
