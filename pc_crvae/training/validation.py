"""What happens at the end of an epoch: evaluation on the validation split, and what follows."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pc_crvae.config import Config
from pc_crvae.data.batches import prefetched
from pc_crvae.data.items import ItemSet
from pc_crvae.latents.statistics import ActiveUnits
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.models.vae import evaluating
from pc_crvae.objectives.base import Terms, TrainingObjective
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.randomness.keys import keyed_numpy_generator
from pc_crvae.runs.folder import Run
from pc_crvae.runs.metrics import MetricsRecord
from pc_crvae.training.callbacks import Callbacks
from pc_crvae.training.distributed import ALONE, Sharing
from pc_crvae.training.limits import require_finite
from pc_crvae.training.schedules import Schedule
from pc_crvae.training.state import TrainingState
from pc_crvae.utils.progress import TrainingProgress

_SHOWN = {
    "objective": "what training raises",
    "log_likelihood": "how near reconstructions are to items, higher where nearer",
    "kl": "how far codes are from the prior, which is what they tell of an item",
    "consistency": "how far the code of an item moves when the item is transformed",
    "active_units": "a count: numbers of the code that are in use",
    "probe_accuracy": "a share: of items whose class a linear classifier tells by their codes",
}
"""The columns of an epoch's line, and what they are; all but the last two are nats an item."""


@dataclass
class Validation:
    """The end of each epoch: all processes evaluate, and the main one records what they find.

    Attributes:
        items: the validation split.
        sharing: the processes that evaluate together.
        schedule: the schedule of the training.
        run: keeps the best export.
        record: the record of the run.
        progress: says how the epoch ended.
        callbacks: called where they are due.
        told_fall: whether a fallen objective was told of.
        told_columns: the columns that were explained.
    """

    items: ItemSet
    sharing: Sharing
    schedule: Schedule
    run: Run
    record: MetricsRecord
    progress: TrainingProgress
    callbacks: Callbacks
    told_fall: bool = False
    told_columns: set[str] = field(default_factory=set)

    def end_epoch(self, state: TrainingState) -> None:
        """Evaluate, record, call back, and keep the model if it is the best so far.

        Raises:
            UserError: a term is not finite, or the best export cannot be written.
        """
        config, model = self.schedule.config, state.exported
        epochs = -(-state.step // self.schedule.steps_per_epoch)
        results = evaluate(config, model, state.evaluated, self.items, self.sharing)
        with self.sharing.failing_together():
            weight = config.consistency.weight if config.consistency else 0.0
            when = f"in validation after step {state.step}"
            require_finite(results, when, self.run, consistency_weight=weight)
        if self.callbacks.probe and self._is_due(config.logging.probe_every_epochs, epochs):
            results["probe_accuracy"] = self.callbacks.probe(model, self.sharing)
        with self.sharing.failing_together():
            if self.sharing.is_main:
                self._conclude(state, epochs, results)

    def _conclude(self, state: TrainingState, epochs: int, results: dict[str, Any]) -> None:
        config, step, model = self.schedule.config, state.step, state.exported
        self.record.add("validation", step, step / self.schedule.steps_per_epoch, results)
        if self.callbacks.picture and self._is_due(config.logging.pictures_every_epochs, epochs):
            self.record.add_picture("reconstructions", step, self.callbacks.picture(model, epochs))
        if results["objective"] > state.best_objective:
            state.best_objective = results["objective"]
            self.run.save_best(model)
        self._tell_columns(results)
        self.progress.say(self._line(epochs, results))
        self._tell_a_fall(results["objective"], state)

    def _is_due(self, every: int, epochs: int) -> bool:
        is_last = epochs == self.schedule.epochs
        return every > 0 and (epochs % every == 0 or is_last)

    def _tell_columns(self, results: dict[str, Any]) -> None:
        """Tell, once each, what the columns are."""
        new = [name for name in _SHOWN if name in results and name not in self.told_columns]
        if not self.told_columns:
            self.progress.say("of the validation split, in nats an item unless it says otherwise:")
        for name in new:
            self.progress.say(f"  {name}: {_SHOWN[name]}")
        self.told_columns.update(new)

    def _line(self, epochs: int, results: dict[str, Any]) -> str:
        text = "  ".join(f"{name} {results[name]:.4g}" for name in _SHOWN if name in results)
        total, left = self.schedule.epochs, self.progress.time_left()
        return f"epoch {epochs}/{total}  {text}  left {left}"

    def _tell_a_fall(self, objective: float, state: TrainingState) -> None:
        """Tell, once, of an objective so far below its best that noise cannot be why."""
        best = state.best_objective
        warm = self.schedule.warmups(state.step - 1) == (1, 1)
        if warm and not self.told_fall and best - objective > 4 * max(abs(best), 1.0):
            self.told_fall = True
            self.progress.say(
                f"note: the objective fell to {objective:,.0f} from {best:,.0f}: unless it comes "
                "back, training has diverged; the best checkpoint is the state of before, and a "
                "lower training.learning_rate may avoid it"
            )


def evaluate(
    config: Config,
    model: Pretrained,
    objective: TrainingObjective,
    items: ItemSet,
    sharing: Sharing = ALONE,
) -> dict[str, Any]:
    """Mean terms on ``items`` under fixed draws, active units and the KL per dimension.

    Where terms depend on which items share a batch, batches are full ones of a fixed random order,
    and the items left over are not evaluated; fewer items than a batch are one batch. Processes
    then share the batches; otherwise each has some items of every batch.

    Returns:
        The terms by name in the main process, nothing in the others.

    Raises:
        UserError: this process or another could not read its items.
    """
    size = min(config.training.batch_size, len(items))
    order, evaluated = np.arange(len(items)), len(items)
    if objective.compares_items:
        # Sets may lie class by class, and a batch of one class is harder to tell apart.
        order = keyed_numpy_generator("validation order", config.seed).permutation(len(items))
        evaluated = len(items) // size * size
    parts = list(_parts(evaluated, size, sharing, whole=objective.compares_items))
    with sharing.failing_together():
        means, units = _means_of_parts(config, model, objective, items, order, parts)
        weights = torch.tensor([part.count for part in parts], dtype=torch.float64) / evaluated
        sums = {
            name: torch.tensordot(weights, torch.stack(of_parts), dims=1)
            for name, of_parts in means.items()
        }
    results = _over_processes(sums, units, sharing)
    return results if sharing.is_main else {}


@dataclass(frozen=True)
class _Part:
    """What one process evaluates of a batch: some ``rows`` of the ``size`` items from ``start``."""

    start: int
    size: int
    rows: slice

    @property
    def count(self) -> int:
        return int(self.rows.stop - self.rows.start)

    def of(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """The items of the part."""
        return order[self.start : self.start + self.size][self.rows]


def _parts(evaluated: int, size: int, sharing: Sharing, *, whole: bool) -> Iterator[_Part]:
    """This process's parts of the batches, or its ``whole`` ones."""
    for number, start in enumerate(range(0, evaluated, size)):
        batch = min(size, evaluated - start)
        is_mine = number % sharing.count == sharing.index
        rows = slice(0, batch if is_mine else 0) if whole else sharing.share(batch)
        if rows.start < rows.stop:
            yield _Part(start, batch, rows)


def _means_of_parts(
    config: Config,
    model: Pretrained,
    objective: TrainingObjective,
    items: ItemSet,
    order: NDArray[np.int64],
    parts: Sequence[_Part],
) -> tuple[dict[str, list[Tensor]], ActiveUnits]:
    """Mean terms of each part, float64, and the units of all."""
    means: dict[str, list[Tensor]] = {}  # a hierarchy's KLs a dimension are many an item
    units = ActiveUnits()
    prepared = prefetched(
        items.batch(part.of(order), config.data.points, "validation points", config.seed)
        for part in parts
    )
    with evaluating(objective), closing(prepared):
        for part, batch in zip(parts, prepared, strict=True):
            x = torch.from_numpy(batch).to(model.device)
            generator = keyed_generator("validation", config.seed, part.start, device=model.device)
            terms: Terms = objective(x, Draws(generator, part.size, part.rows))
            for name, term in terms.items():
                means.setdefault(name, []).append(term.cpu().double().mean(dim=0))
            units.add(model.posterior(x).mean.cpu())
    return means, units


def _over_processes(
    sums: dict[str, Tensor], units: ActiveUnits, sharing: Sharing
) -> dict[str, Any]:
    """Terms and active units from all processes' shares of them, in the main process."""
    items, mean, squares = units.moments
    lengths = [max(1, total.numel()) for total in sums.values()]
    packed = [total.reshape(-1) for total in sums.values()]
    packed += [torch.tensor([items], dtype=torch.float64), mean.reshape(-1), squares.reshape(-1)]
    gathered = sharing.gather(torch.cat(packed) if sums else torch.empty(0, dtype=torch.float64))
    for other in gathered[1:]:
        if not len(other):
            continue  # of fewer batches than processes
        *totals, count, mean, squares = torch.split(other, [*lengths, 1, *2 * [units.dimensions]])
        for total, others in zip(sums.values(), totals, strict=True):
            total += others.reshape(total.shape)
        units.join(int(count), mean, squares)
    return {name: total.tolist() for name, total in sums.items()} | {
        "active_units": units.count() if sharing.is_main else 0
    }
