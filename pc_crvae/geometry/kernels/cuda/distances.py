"""Points and squared distances as every kernel reads and rounds them, and where kernels run.

Squared distances are (dx dx + dy dy) + dz dz with every operation rounded by itself (the
compiler may not contract them to fused multiply-adds), which is what a CPU computes: ties are
ties on both, and one device chooses the points that the other does.
"""

from contextlib import AbstractContextManager

import torch
import triton
import triton.language as tl
from torch import Tensor

ROUND_EACH_OPERATION = {"enable_fp_fusion": False}
"""The options of every kernel that compares distances."""


def device_of(tensor: Tensor) -> AbstractContextManager[None]:
    """Make the tensor's device the current one, on which Triton launches; a CPU changes nothing."""
    return torch.cuda.device_of(tensor)  # type: ignore[no-untyped-call]


@triton.jit
def load_points(points: tl.tensor, mask: tl.tensor, fill: tl.constexpr) -> tl.tensor:
    """Return x, y and z of the points whose first coordinates ``points`` points to."""
    x = tl.load(points, mask=mask, other=fill)
    y = tl.load(points + 1, mask=mask, other=fill)
    z = tl.load(points + 2, mask=mask, other=fill)
    return x, y, z


@triton.jit
def squared_distance(
    x: tl.tensor, y: tl.tensor, z: tl.tensor, a: tl.tensor, b: tl.tensor, c: tl.tensor
) -> tl.tensor:
    """Return the squared distance of (x, y, z) from (a, b, c), broadcast."""
    dx = x - a
    dy = y - b
    dz = z - c
    return dx * dx + dy * dy + dz * dz
