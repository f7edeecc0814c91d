"""One optimiser step, and the batches that steps are taken on."""

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pc_crvae.config import Config
from pc_crvae.data.items import ItemSet
from pc_crvae.objectives.base import Terms
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.randomness.keys import keyed_numpy_generator
from pc_crvae.runs.folder import Run
from pc_crvae.runs.metrics import scalar_means
from pc_crvae.training.distributed import Processes
from pc_crvae.training.limits import require_finite
from pc_crvae.training.schedules import Schedule
from pc_crvae.training.state import TrainingState
from pc_crvae.training.unread import UnreadTerms


class TrainingStep:
    """Takes the steps of a training, one after another, without waiting for the device.

    Args:
        state: the state that each step changes.
        schedule: says the learning rate and the warm-ups of each step.
        processes: the processes that take the step together.
        parts: rows of the global batch that are computed at once by this process.
        run: the run whose last state is named where a term is not finite.
    """

    def __init__(
        self,
        state: TrainingState,
        schedule: Schedule,
        processes: Processes,
        parts: list[slice],
        run: Run,
    ) -> None:
        self._state = state
        self._schedule = schedule
        self._accelerator = processes.accelerator
        self._parts = parts
        self._run = run
        self._unread = UnreadTerms(processes.device)
        self._wrapped, self._optimizer = self._accelerator.prepare(state.objective, state.optimizer)

    def take(self, batches: Iterator[Tensor]) -> None:
        """Take the next step of the state, whose terms `read` then waits for.

        From a step on that has a term or a gradient which is not finite, the weights and the
        optimiser's state stay as they were before it.

        Args:
            batches: gives the items of each part in turn, see `ready_to_copy`.
        """
        state, config = self._state, self._schedule.config
        for group in state.optimizer.param_groups:
            group["lr"] = self._schedule.learning_rate(state.step)
        means = self._forward_and_backward(batches)
        means["gradient_norm"] = self._accelerator.clip_grad_norm_(
            self._wrapped.parameters(), config.training.clip_norm or float("inf")
        )
        self._unread.add(state.step, self._schedule.consistency_weight(state.step), means)
        # A fused optimiser leaves everything as it is where this is 1, and asks on the device.
        setattr(state.optimizer, "found_inf", self._unread.broken)  # noqa: B010 - torch's own name
        self._optimizer.step()
        self._optimizer.zero_grad()
        if state.average:
            state.average.update_parameters(state.objective)
        state.step += 1

    def read(self) -> None:
        """Wait for the steps taken, whose terms the window of the state then holds.

        No state may be saved before: one after a step that was not finite has stale weights and
        batch statistics that are not finite.

        Raises:
            UserError: a term or the gradient of one was not finite.
        """
        for step, weight, means in self._unread.read():
            require_finite(means, f"at step {step + 1}", self._run, consistency_weight=weight)
            self._state.window.add(means)

    def _forward_and_backward(self, batches: Iterator[Tensor]) -> dict[str, Tensor]:
        """Gradients of a batch, part by part, and the means of its terms over all processes."""
        self._wrapped.train()
        totals: dict[str, Tensor] = {}
        for rows in self._parts:
            is_last = rows == self._parts[-1]
            with nullcontext() if is_last else self._accelerator.no_sync(self._wrapped):
                terms = self._forward(next(batches), rows)
                self._accelerator.backward(-terms["objective"].mean() / len(self._parts))
            for name, mean in scalar_means(terms).items():
                totals[name] = totals.get(name, 0.0) + mean / len(self._parts)
        values = self._accelerator.reduce(torch.stack(list(totals.values())), "mean")
        return dict(zip(totals, values.unbind(), strict=True))

    def _forward(self, batch: Tensor, rows: slice) -> Terms:
        config, device = self._schedule.config, self._accelerator.device
        step, options = self._state.step, config.training
        epoch = step // self._schedule.steps_per_epoch
        generator = keyed_generator("step", config.seed, epoch, step, device=device)
        draws = Draws(generator, options.batch_size, rows)
        half_precision = options.precision == "bfloat16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision):
            terms: Terms = self._wrapped(
                batch.to(device, non_blocking=device.type == "cuda"),
                draws,
                *self._schedule.warmups(step),
            )
        return terms


def batches_of_steps(
    config: Config, items: ItemSet, steps: range, parts: list[slice]
) -> Iterator[NDArray[np.float32]]:
    """Yield the items of each of ``steps``, one of the ``parts`` of its batch after another."""
    size = config.training.batch_size
    for step in steps:
        epoch, step_of_epoch = divmod(step, len(items) // size)
        if step_of_epoch == 0 or step == steps.start:
            of_epoch = items.of_epoch(epoch)
            order = keyed_numpy_generator("order", config.seed, epoch).permutation(len(items))
        batch = order[step_of_epoch * size :][:size]
        for rows in parts:
            yield of_epoch.batch(batch[rows], config.data.points, "points", config.seed, epoch)


def ready_to_copy(batches: Iterator[NDArray[np.float32]], device: torch.device) -> Iterator[Tensor]:
    """Yield batches as tensors on the CPU: in pinned memory, where CUDA can copy them meanwhile."""
    for batch in batches:
        tensor = torch.from_numpy(batch)
        yield tensor.pin_memory() if device.type == "cuda" else tensor
