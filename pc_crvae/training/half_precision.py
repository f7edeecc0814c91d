"""Whether half precision pays on this device: asked of it, since no list would stay complete."""

import time

import torch

PAYS = 1.2
"""Times as fast as float32 from which on bfloat16 is taken where the choice is left open."""

_SIZES = {"cpu": 256}
_SIZE_OF_OTHERS = 2048
_ROUNDS = 5
_HOPELESS = 10


def bfloat16_slowdown(device: torch.device | None = None) -> float:
    """Times as long as in float32 that a matrix product takes in bfloat16 on a device.

    Below 1 where the processor has instructions for it; where it has none, tens. The best of a few
    rounds of both, by turns, so that a busy moment does not fall on one of them.

    Args:
        device: the device that is asked; by default the CPU.
    """
    device = device or torch.device("cpu")
    size = _SIZES.get(device.type, _SIZE_OF_OTHERS)
    best = dict.fromkeys((torch.float32, torch.bfloat16), float("inf"))
    for done in range(_ROUNDS):
        if done >= 2 and best[torch.bfloat16] > _HOPELESS * best[torch.float32]:
            break  # where bfloat16 is emulated, each round takes the better part of a second
        for dtype in best:
            matrix = torch.ones(size, size, dtype=dtype, device=device)
            _finish(device)
            start = time.perf_counter()
            matrix @ matrix
            _finish(device)
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.bfloat16] / best[torch.float32]


def _finish(device: torch.device) -> None:
    """Wait for what a card still computes."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
