"""Random numbers that depend on a key, never on the process or worker that draws them.

What is drawn for a data item is keyed by (seed, epoch, index); what is drawn for a step
(transforms, latent noise) is keyed by (seed, epoch, step) and drawn for the whole global
batch, of which each process takes its rows. A run is therefore the same whatever the
number of processes, the gradient accumulation, or the step it was resumed at.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pc_crvae.randomness.keys import Key, seed_from_key


def keyed_generator(*key: Key, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator on ``device`` whose stream is fixed by ``key``."""
    return torch.Generator(device).manual_seed(seed_from_key(*key))


class Draws:
    """Random draws for a global batch, handing out the rows that one process holds.

    Every per-item draw consumes the generator for all ``batch_size`` items and returns the
    ``rows`` asked for, so two processes with the same generator state hold, between them,
    exactly what one process would have drawn.

    Args:
        generator: the explicit source of randomness; draws live on its device, but for numbers
            that the whole batch shares: they are drawn on the CPU, as no step should wait for a
            device to learn a size.
        batch_size: items in the global batch.
        rows: the items of this process, all of them by default.
    """

    def __init__(
        self,
        generator: torch.Generator,
        batch_size: int,
        rows: slice | Sequence[int] | None = None,
    ) -> None:
        self.generator = generator
        self._shared = generator
        if generator.device.type != "cpu":
            self._shared = torch.Generator().manual_seed(generator.initial_seed())
        self.batch_size = batch_size
        self.rows: slice | list[int]
        if rows is None:
            self.rows = slice(None)
        else:  # A tuple would index as many dimensions, a list indexes rows.
            self.rows = rows if isinstance(rows, slice) else list(rows)

    def normal(self, *shape: int) -> Tensor:
        r"""Standard normals: (rows, \*shape) float32, independent per item."""
        return torch.randn(
            self.batch_size, *shape, generator=self.generator, device=self.generator.device
        )[self.rows]

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        r"""Uniforms on [low, high): (rows, \*shape) float32, independent per item."""
        unit = torch.rand(
            self.batch_size, *shape, generator=self.generator, device=self.generator.device
        )[self.rows]
        return low + (high - low) * unit

    def batch_uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One uniform number on [low, high) shared by the whole global batch."""
        return low + (high - low) * float(torch.rand((), generator=self._shared))
