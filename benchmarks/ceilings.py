"""What a chip can do at best: products and copies, measured where the steps are.

On a CUDA card products in float32 are measured with and without TF32, and copies within the card's
memory and from the host's, pinned and not. It runs on a CPU too, without what only a card has.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchmarks.report import Row, say
from benchmarks.timing import Action, Effort, alternate, synchronized

_SIDES = {"cpu": 1024, "cuda": 8192}
_COPIED_MB = {"cpu": 64, "cuda": 1024}


def run(*, quick: bool, device: torch.device) -> Iterator[Row]:
    """Measure every product and copy of ``device``."""
    side = 64 if quick else _SIDES[device.type]
    megabytes = 1 if quick else _COPIED_MB[device.type]
    effort = Effort(0, 1, 1) if quick else Effort(8.0, 4, 20)
    products, copies = _products(side, device), _copies(megabytes, device)
    times = alternate(
        {name: synchronized(action, device) for name, action in {**products, **copies}.items()},
        effort,
    )
    for name in products:
        yield _row(name, times[name], 2e-9 * side**3, "GFLOP/s", f"{side} x {side}")
    for name in copies:
        moved = megabytes / 1000 * (2 if name.startswith("copy within") else 1)
        yield _row(name, times[name], moved, "GB/s", f"{megabytes} MB of 10^6 bytes")


def _row(name: str, milliseconds: float, work: float, unit: str, inputs: str) -> Row:
    rate = 1000 * work / milliseconds
    say(f"ceiling: {name}, {rate:,.0f} {unit}")
    return Row("ceiling", name, "", milliseconds, None, "", inputs, 1, 0, rate=rate, unit=unit)


def _products(side: int, device: torch.device) -> dict[str, Action]:
    actions: dict[str, Action] = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(side, side, dtype=dtype, device=device)
        actions[f"product in {str(dtype).removeprefix('torch.')}"] = _product(matrix)
    if device.type == "cuda":
        actions["product in TF32"] = _product(torch.ones(side, side, device=device), tf32=True)
    return actions


def _product(matrix: torch.Tensor, *, tf32: bool = False) -> Action:
    made = torch.empty_like(matrix)

    def product() -> None:
        with _tf32(tf32):
            torch.mm(matrix, matrix, out=made)

    return product


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _copies(megabytes: int, device: torch.device) -> dict[str, Action]:
    """Copies by name; one within a memory reads it and writes it."""
    source = torch.ones(megabytes * 250_000, device=device)
    made = torch.empty_like(source)
    within = "card" if device.type == "cuda" else "processor"
    actions: dict[str, Action] = {
        f"copy within the memory of the {within}": lambda: made.copy_(source)
    }
    if device.type == "cuda":
        plain = torch.ones(source.shape)
        pinned = plain.pin_memory()
        actions["copy to the card"] = lambda: made.copy_(plain)
        actions["copy to the card from pinned memory"] = lambda: made.copy_(
            pinned, non_blocking=True
        )
        actions["copy from the card to pinned memory"] = lambda: pinned.copy_(
            made, non_blocking=True
        )
    return actions
