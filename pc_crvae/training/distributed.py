"""The processes of one training: what they agree on, and which rows of a batch each one has."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs
from torch import Tensor, nn

from pc_crvae.config import TrainingConfig
from pc_crvae.errors import UserError
from pc_crvae.models.batch_norm import BatchNorm

IN_STEP = timedelta(minutes=10)
"""How long a process waits for another one where all do the same, before it takes it for lost."""

FOR_MAIN = timedelta(minutes=30)
"""How long it waits where the main process alone probes, draws pictures or writes."""

_LOST = re.compile(
    r"timed? ?out|connection (?:closed|reset|refused)|broken pipe|pair closure", re.IGNORECASE
)
"""What the libraries say where another process does not answer, whatever the type of the error."""


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """How processes share what is not a training step; alone, as a rule.

    Attributes:
        index: the number of this process; 0 is the main one.
        count: how many there are.
        patient: the group to wait in for the main process; None where this is the only one.
    """

    index: int = 0
    count: int = 1
    patient: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.index == 0

    def share(self, count: int) -> slice:
        """This process's part of ``count`` items; of fewer than processes the first have one."""
        size, larger = divmod(count, self.count)
        start = self.index * size + min(self.index, larger)
        return slice(start, start + size + (self.index < larger))

    def gather(self, values: Tensor) -> list[Tensor]:
        """Return what each process has, in their order, to the main process; [] to the others.

        Args:
            values: (n,) on the CPU, of any length, of the same type in all processes.
        """
        if self.patient is None:
            return [values]
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.count)]
        dist.all_gather(lengths, torch.tensor([len(values)]), group=self.patient)
        longest = max(int(length) for length in lengths)
        padded = torch.nn.functional.pad(values, (0, longest - len(values)))
        parts = [torch.empty_like(padded) for _ in lengths] if self.is_main else None
        dist.gather(padded, parts, dst=0, group=self.patient)
        return [
            part[: int(length)] for part, length in zip(parts or (), lengths, strict=self.is_main)
        ]

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """What one process alone does, such as writing, stops all of them where it fails.

        Raises:
            UserError: another process failed.
        """
        failure: Exception | None = None
        try:
            yield
        except (UserError, OSError) as error:
            failure = error
        anywhere = torch.tensor([failure is not None], dtype=torch.int)
        if self.patient is not None:
            dist.all_reduce(anywhere, dist.ReduceOp.MAX, group=self.patient)
        if failure:
            raise failure
        if anywhere:
            raise UserError("another process of this training failed; its own message says why")


ALONE = Sharing()
"""A process that shares with no other."""


@dataclass(frozen=True, kw_only=True)
class Processes(Sharing):
    """This process among those that train together.

    Attributes:
        accelerator: Accelerate's view of the processes and of this one's device.
    """

    accelerator: Accelerator

    @classmethod
    def of(cls, options: TrainingConfig) -> Self:
        """Join the processes that torchrun started, on the device that ``options`` allow."""
        # Precision is not Accelerate's, whose state is one for the whole process. Unless it is told
        # that a machine has no card, it lets every process there train alone.
        accelerator = Accelerator(
            cpu=options.device == "cpu" or not torch.accelerator.is_available(),
            mixed_precision="no",
            kwargs_handlers=[InitProcessGroupKwargs(timeout=IN_STEP)],
        )
        alone = accelerator.num_processes == 1
        return cls(
            index=int(accelerator.process_index),
            count=int(accelerator.num_processes),
            patient=None if alone else dist.new_group(backend="gloo", timeout=FOR_MAIN),
            accelerator=accelerator,
        )

    @property
    def device(self) -> torch.device:
        """What this process computes on."""
        device: torch.device = self.accelerator.device
        return device

    def agree(self, number: int) -> int:
        """The largest ``number`` of any process."""
        if self.count == 1:
            return number
        mine = torch.tensor([number], device=self.device)
        return int(self.accelerator.gather(mine).max())

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Say in a sentence where another process stopped answering, instead of a traceback.

        Raises:
            UserError: one did.
        """
        try:
            yield
        except RuntimeError as error:
            if self.count == 1 or not _LOST.search(str(error)):
                raise
            raise UserError(
                "another process of this training ended, or did not answer for "
                f"{round(IN_STEP.total_seconds() / 60)} minutes, so this one stops: what that one "
                "says tells why, and the run can be resumed"
            ) from error

    def rows(self, options: TrainingConfig) -> list[slice]:
        """This process's rows of each global batch, in the parts that they are computed in.

        Raises:
            UserError: the batch cannot be cut into equal parts.
        """
        size, remainder = divmod(options.batch_size, self.count * options.accumulation)
        if remainder:
            raise UserError(
                f"training.batch_size {options.batch_size} must be a multiple of {self.count} "
                f"processes times training.accumulation {options.accumulation}"
            )
        first = self.index * options.accumulation
        return [
            slice(part * size, (part + 1) * size)
            for part in range(first, first + options.accumulation)
        ]

    def synchronize_batch_norm(self, model: nn.Module) -> None:
        """Have every batch-norm of ``model`` take its statistics over all processes."""
        if self.count > 1:
            for module in model.modules():
                if isinstance(module, BatchNorm):
                    module.synchronized = True
