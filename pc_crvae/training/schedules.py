"""Schedules as pure functions of the step, so that resuming has no state to restore."""

import math
from typing import Literal


def learning_rate_factor(
    step: int, *, total: int, warmup: int, schedule: Literal["cosine", "constant"]
) -> float:
    """Factor on the learning rate at optimiser step ``step`` (from 0) of ``total``.

    It rises linearly over ``warmup`` steps, then stays, or falls to zero along half a cosine
    (Loshchilov & Hutter 2017).
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


def warmup_factor(step: int, warmup: float) -> float:
    """Factor in [0, 1] that rises linearly over ``warmup`` steps, for beta and lambda."""
    return 1.0 if step >= warmup else step / warmup
