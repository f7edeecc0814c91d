"""The Triton kernels: on a GPU as compiled, everywhere else in Triton's interpreter."""

import importlib.util
import os

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed", allow_module_level=True)
needs_card = pytest.mark.skipif(
    not INTERPRETED and not torch.cuda.is_available(),
    reason="needs a CUDA GPU; without one it runs in Triton's interpreter, in its own process",
)


def runs_kernels(test):
    return pytest.mark.cuda(needs_card(test))


without_interpreter = pytest.mark.skipif(
    INTERPRETED, reason="runs in the process that starts the interpreter's"
)


def kernels():
    from pc_crvae.geometry.kernels import cuda

    return cuda


def randn(*shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=dtype).to(DEVICE)


def randint(high, shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(high, shape, generator=generator).to(DEVICE)


def lattice(*shape, dtype=torch.float32):
    """Clouds full of duplicates and of equal distances."""
    return (randint(3, (*shape, 3)) - 1).to(dtype)
