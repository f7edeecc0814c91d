"""Whether half precision pays on this processor: asked of it, since no list would stay complete."""

import time

import torch

_SIZE = 256
_ROUNDS = 5


def bfloat16_slowdown() -> float:
    """Times as long as in float32 that a matrix product takes in bfloat16 on the CPU, here.

    Below 1 where the processor has instructions for it; where it has none, tens. The best of a few
    rounds of both, by turns, so that a busy moment does not fall on one of them.
    """
    best = dict.fromkeys((torch.float32, torch.bfloat16), float("inf"))
    for _ in range(_ROUNDS):
        for dtype in best:
            matrix = torch.ones(_SIZE, _SIZE, dtype=dtype)
            start = time.perf_counter()
            matrix @ matrix
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.bfloat16] / best[torch.float32]
