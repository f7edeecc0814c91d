"""The training loop, from first step to last, in one function that reads top to bottom."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

from accelerate.utils import set_seed

from pc_crvae.config import CheckpointConfig, Config
from pc_crvae.data.batches import prefetched
from pc_crvae.data.cards import load_card
from pc_crvae.data.items import ItemSet
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.models.vae import VAE
from pc_crvae.runs.folder import Run
from pc_crvae.runs.metrics import MetricsRecord, has_tensorboard
from pc_crvae.training.build import build_model, image_shape_of
from pc_crvae.training.callbacks import Callbacks
from pc_crvae.training.distributed import Processes
from pc_crvae.training.initialization import Origin, initial_notes
from pc_crvae.training.limits import require_trainable
from pc_crvae.training.schedules import Schedule
from pc_crvae.training.settling import settle, threads_of_torch
from pc_crvae.training.state import TrainingState
from pc_crvae.training.step import TrainingStep, batches_of_steps, ready_to_copy
from pc_crvae.training.unread import steps_between_readings
from pc_crvae.training.validation import Validation
from pc_crvae.utils.interruption import Interrupted, listen_for_interruption
from pc_crvae.utils.memory import keep_freed_memory
from pc_crvae.utils.progress import TrainingProgress
from pc_crvae.utils.waiting import sharing_cores


def train(
    config: Config,
    run: Run,
    train_set: ItemSet,
    validation_set: ItemSet,
    callbacks: Callbacks,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Pretrained:
    """Train a model as ``config`` says, writing to ``run``; returns what was exported.

    Args:
        config: the experiment.
        run: the folder of the run, which is made here; the caller holds its lock.
        train_set: the items that are trained on.
        validation_set: the items that choose the best state, by the objective, without labels.
        callbacks: called where they are due.
        resume: go on from the run's newest state.
        overwrite: replace a run that is there.

    Raises:
        UserError: on a run that is there or cannot go on, too few items, or a term that is
            not finite.
        Interrupted: on SIGINT or SIGTERM, once the state is saved.
    """
    processes = Processes.of(config.training)
    config, choices = settle(config, processes, run if resume else None)
    options, schedule = config.training, Schedule(config, len(train_set))
    parts = processes.rows(options)
    part_size = parts[0].stop - parts[0].start
    require_trainable(config, train_set, validation_set, part_size=part_size)
    state = _state_before_the_first_step(
        config, processes, train_set, validation_set, resume=resume
    )

    # The run's folder is made once nothing is left to refuse.
    train_set.batch([0], config.data.points, "check")
    with processes.failing_together():
        if processes.is_main and resume:
            run.open(config)
        elif processes.is_main:
            run.create(config, overwrite=overwrite)
    if resume:
        state.resume(run, train_set)
        with processes.failing_together():
            if processes.is_main:
                run.mend(state.exported, keep=config.checkpoints.keep)
    progress = TrainingProgress(schedule.total, state.step, quiet=not processes.is_main)
    if state.step == schedule.total:
        progress.say(f"{run.folder} is trained already: all its {state.step} steps are done")
        return state.exported
    for note in (*_notes(config, callbacks), *choices):
        progress.say(note)

    one_step = TrainingStep(state, schedule, processes, parts, run)
    record = MetricsRecord(
        run.metrics if processes.is_main else None,
        run.events if processes.is_main and config.logging.tensorboard else None,
        resume_at=state.metrics_size,
        step=state.step,
    )
    if record.note:
        progress.say(record.note)
    validation = Validation(validation_set, processes, schedule, run, record, progress, callbacks)
    saving = _Saving(state, run, record, processes, config.checkpoints)
    steps = range(state.step, schedule.total)
    batches = prefetched(
        ready_to_copy(batches_of_steps(config, train_set, steps, parts), processes.device)
    )
    reading_every = steps_between_readings(processes.device, config.logging.every_steps)
    with (
        processes.answering(),
        threads_of_torch(options.threads),
        sharing_cores(),
        closing(record),
        progress.live(),
        listen_for_interruption() as interrupt,
        closing(batches),
    ):
        step_seconds: list[float] = []
        for _ in steps:
            started = time.monotonic()
            one_step.take(batches)
            progress.advance()
            is_logged = state.step % config.logging.every_steps == 0
            ends_epoch = schedule.ends_epoch(state.step)
            is_read = is_logged or ends_epoch or state.step % reading_every == 0
            if is_read:
                one_step.read()
            step_seconds.append(time.monotonic() - started)

            epochs = state.step / schedule.steps_per_epoch
            if is_logged:
                means = state.window.take()
                speed = len(step_seconds) * options.batch_size / sum(step_seconds)
                step_seconds.clear()
                progress.show(f"epoch {math.ceil(epochs)}/{schedule.epochs}", means, speed)
                rate = schedule.learning_rate(state.step - 1)
                means |= {"learning_rate": rate, "items_per_second": speed}
                record.add("train", state.step, epochs, means)

            if ends_epoch:
                validation.end_epoch(state)

            if processes.count > 1 and not is_read:
                continue  # agreeing waits for the device
            stop = processes.agree(interrupt.signal_number)
            if stop or state.step == schedule.total or saving.is_due(epochs):
                one_step.read()
                saving.save()
            if stop:
                raise Interrupted(
                    stop,
                    f"stopped after step {state.step} of {schedule.total}, and {run.folder} can "
                    "be resumed",
                )
    with processes.failing_together():
        if processes.is_main and callbacks.at_end:
            word = callbacks.at_end(state.exported)
            if word:
                progress.say(word)
    return state.exported


def _state_before_the_first_step(
    config: Config,
    processes: Processes,
    train_set: ItemSet,
    validation_set: ItemSet,
    *,
    resume: bool,
) -> TrainingState:
    if processes.device.type == "cpu":
        keep_freed_memory()
    set_seed(config.seed)
    model = build_model(config, image_shape_of(config, train_set))
    model.data |= {
        "train_sha256": train_set.fingerprint(),
        "validation_sha256": validation_set.fingerprint(),
        "licences": {one.name: load_card(one.name).licence for one in config.data.sets},
    }
    if config.init is not None:
        if not resume:  # from weights of its own
            model.data["init"] = Origin.read(config.init).give(model)
        if config.init.freeze:
            cast(VAE, model).freeze(config.init.freeze)
    state = TrainingState.of(model, config, processes.device)
    if config.training.synchronize_batch_norm:
        processes.synchronize_batch_norm(state.objective)
    return state


def _notes(config: Config, callbacks: Callbacks) -> Iterator[str]:
    """Yield what a user should know before the first step."""
    if config.init is not None:
        yield from initial_notes(config.init)
    if callbacks.note:
        yield callbacks.note
    if config.logging.tensorboard and not has_tensorboard():
        yield (
            "note: TensorBoard is not installed, so no events are written: "
            "pip install 'pc-crvae[log]', or set logging.tensorboard=false"
        )


@dataclass
class _Saving:
    """Saves the state of a training as often as asked for."""

    state: TrainingState
    run: Run
    record: MetricsRecord
    processes: Processes
    options: CheckpointConfig
    last: float = field(default_factory=time.monotonic)

    def is_due(self, epochs: float) -> bool:
        """Whether to save after so many epochs; all processes agree."""
        if epochs.is_integer() and epochs % self.options.every_epochs == 0:
            return True
        minutes = self.options.every_minutes
        overdue = minutes is not None and time.monotonic() - self.last > 60 * minutes
        return bool(self.processes.agree(int(overdue)))

    def save(self) -> None:
        """Save, in the main process."""
        with self.processes.failing_together():
            if self.processes.is_main:
                gathered = self.state.gather(self.record.synced_size())
                step, keep = self.state.step, self.options.keep
                self.run.save_state(gathered, self.state.exported, step=step, keep=keep)
        self.last = time.monotonic()
