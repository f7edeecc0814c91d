"""One optimiser step, and the batches that steps are taken on."""

from collections.abc import Iterator
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pc_crvae.config import Config
from pc_crvae.data.batches import batch_of
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


class TrainingStep:
    """Takes the steps of a training, one after another.

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
        self._wrapped, self._optimizer = self._accelerator.prepare(state.objective, state.optimizer)

    def take(self, batches: Iterator[NDArray[np.float32]]) -> None:
        """Take the next step of the state, whose window then holds the step's terms.

        Args:
            batches: gives the items of each part in turn.

        Raises:
            UserError: a term or the gradient is not finite; the weights are as before the step.
        """
        state, config = self._state, self._schedule.config
        for group in state.optimizer.param_groups:
            group["lr"] = self._schedule.learning_rate(state.step)
        means = self._forward_and_backward(batches)
        self._require_finite(means)
        norm = self._accelerator.clip_grad_norm_(
            self._wrapped.parameters(), config.training.clip_norm or float("inf")
        )
        means["gradient_norm"] = float(norm)
        self._require_finite(means)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if state.average:
            state.average.update_parameters(state.objective)
        state.window.add(means)
        state.step += 1

    def _forward_and_backward(self, batches: Iterator[NDArray[np.float32]]) -> dict[str, float]:
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
        return dict(zip(totals, values.tolist(), strict=True))

    def _forward(self, batch: NDArray[np.float32], rows: slice) -> Terms:
        config, device = self._schedule.config, self._accelerator.device
        step, options = self._state.step, config.training
        epoch = step // self._schedule.steps_per_epoch
        generator = keyed_generator("step", config.seed, epoch, step, device=device)
        draws = Draws(generator, options.batch_size, rows)
        half_precision = options.precision == "bfloat16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half_precision):
            terms: Terms = self._wrapped(
                torch.from_numpy(batch).to(device), draws, *self._schedule.warmups(step)
            )
        return terms

    def _require_finite(self, means: dict[str, float]) -> None:
        """Stop before a bad step is taken."""
        step = self._state.step
        weight = self._schedule.consistency_weight(step)
        require_finite(means, f"at step {step + 1}", self._run, consistency_weight=weight)


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
            yield batch_of(of_epoch, batch[rows], config.data.points, "points", config.seed, epoch)
