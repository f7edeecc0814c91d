"""The processes of one training: what they agree on, and which rows of a batch each one has."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from accelerate import Accelerator
from torch import nn

from pc_crvae.config import TrainingConfig
from pc_crvae.errors import UserError
from pc_crvae.models.batch_norm import BatchNorm


@dataclass(frozen=True)
class Processes:
    """This process among those that train together; alone, as a rule.

    Attributes:
        accelerator: Accelerate's view of the processes and of this one's device.
    """

    accelerator: Accelerator

    @classmethod
    def of(cls, options: TrainingConfig) -> Self:
        """Join the processes that torchrun started, on the device that ``options`` allow."""
        # Precision is not Accelerate's, whose state is one for the whole process.
        return cls(Accelerator(cpu=options.device == "cpu", mixed_precision="no"))

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.accelerator.num_processes)

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return bool(self.accelerator.is_main_process)

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
    def failing_together(self) -> Iterator[None]:
        """What the main process alone does, such as writing, stops all of them where it fails."""
        failure: Exception | None = None
        try:
            yield
        except (UserError, OSError) as error:
            failure = error
        anywhere = self.agree(int(failure is not None))
        if failure:
            raise failure
        if anywhere:
            raise UserError("the main process failed, and its own message says why")

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
        first = self.accelerator.process_index * options.accumulation
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
