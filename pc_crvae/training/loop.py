"""The training loop, from first step to last, in one function that reads top to bottom."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pc_crvae.config import Config, TrainingConfig
from pc_crvae.data.batches import batch_of, prefetched
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.latents.statistics import ActiveUnits
from pc_crvae.models.batch_norm import BatchNorm
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.models.vae import evaluating
from pc_crvae.objectives.base import Terms, TrainingObjective
from pc_crvae.randomness.draws import Draws, keyed_generator
from pc_crvae.randomness.keys import keyed_numpy_generator
from pc_crvae.runs.folder import Run
from pc_crvae.runs.metrics import MetricsRecord, RunningMean, require_tensorboard, scalar_means
from pc_crvae.training.build import build_model, build_training_objective, image_shape_of
from pc_crvae.training.half_precision import bfloat16_slowdown
from pc_crvae.training.memory import keep_freed_memory
from pc_crvae.training.schedules import learning_rate_factor, warmup_factor
from pc_crvae.utils.interruption import Interrupted, listen_for_interruption
from pc_crvae.utils.progress import TrainingProgress


@dataclass(frozen=True)
class Watchers:
    """What looks at the model every few epochs; none of it changes the training.

    Attributes:
        probe: the accuracy in [0, 1] of a cheap probe on the validation split.
        picture: an image (H, W, 3) uint8 of inputs beside reconstructions, which it also
            writes for the given epoch.
    """

    probe: Callable[[Pretrained], float] | None = None
    picture: Callable[[Pretrained, int], np.ndarray] | None = None


def train(
    config: Config,
    run: Run,
    train_set: ItemSet,
    validation_set: ItemSet,
    watchers: Watchers,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> Pretrained:
    """Train a model as ``config`` says, writing to ``run``; returns what was exported.

    Args:
        config: the experiment.
        run: its folder; made here.
        train_set: what is trained on.
        validation_set: what the best state is chosen on, by the objective, without labels.
        watchers: called in the main process.
        resume: go on from the run's newest state.
        overwrite: replace a run that is there.

    Raises:
        UserError: on a run that is there or cannot go on, too few items, or a term that is
            not finite.
        Interrupted: on SIGINT or SIGTERM, once the state is saved.
    """
    options = config.training

    # Processes, device. Precision is not Accelerate's, whose state is one for the whole process.
    accelerator = Accelerator(cpu=options.device == "cpu", mixed_precision="no")
    half_precision = options.precision == "bfloat16"
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    processes, is_main = accelerator.num_processes, accelerator.is_main_process
    part_size, remainder = divmod(options.batch_size, processes * options.accumulation)
    if remainder:
        raise UserError(
            f"training.batch_size {options.batch_size} must be a multiple of {processes} "
            f"processes times training.accumulation {options.accumulation}"
        )
    head = getattr(config.model, "head", None)
    if part_size == 1 and head and (head.normalize_features or head.batch_norm):
        raise UserError(
            "batch-norm in model.head needs two items at a time, and training.batch_size "
            f"{options.batch_size} leaves one for each part: raise it"
        )
    steps_per_epoch = len(train_set) // options.batch_size
    if steps_per_epoch == 0:
        raise UserError(
            f"{train_set.name} has {len(train_set)} items to train on, fewer than "
            f"training.batch_size {options.batch_size}: lower it"
        )
    total_steps = options.epochs * steps_per_epoch
    if len(validation_set) < 2:
        raise UserError(
            f"{train_set.name} leaves {len(validation_set)} items for validation, fewer than 2: "
            "raise data.validation_fraction"
        )

    # Model, its average, optimiser.
    set_seed(config.seed)
    model = build_model(config, image_shape_of(config, train_set))
    model.data |= {
        "train_sha256": train_set.fingerprint(),
        "validation_sha256": validation_set.fingerprint(),
    }
    if processes > 1 and options.synchronize_batch_norm:
        for module in model.modules():
            if isinstance(module, BatchNorm):
                module.synchronized = True
    average: AveragedModel | None = None
    evaluated = model
    if options.ema_decay:
        decaying = get_ema_multi_avg_fn(options.ema_decay)  # type: ignore[no-untyped-call]
        average = AveragedModel(model, multi_avg_fn=decaying, use_buffers=True)
        average.to(accelerator.device)
        evaluated = cast(Pretrained, average.module)
    objective = build_training_objective(config, model).to(accelerator.device)
    evaluated_objective = build_training_objective(config, evaluated)
    optimizer = build_optimizer(model, options)

    # The run's folder, made once nothing is left to refuse, or the state to go on from.
    batch_of(train_set, [0], config.data.points, "check")
    if config.logging.tensorboard:
        require_tensorboard()
    with _failing_together(accelerator):
        if is_main and resume:
            run.open(config)
        elif is_main:
            run.create(config, overwrite=overwrite)
    first_step, best_objective, window = 0, -float("inf"), RunningMean()
    told_fall = False
    state = run.load_state() if resume else None
    if state:
        if state["train_set"] != model.data["train_sha256"]:
            raise UserError(
                f"{run.folder} was started on other data than {train_set.name} holds now: "
                "point data.root at the same data, or start anew with --overwrite"
            )
        try:
            objective.load_state_dict(state["objective"])
            optimizer.load_state_dict(state["optimizer"])
            if average:
                average.load_state_dict(state["average"])
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"the newest state in {run.checkpoints} is of another model than "
                f"{run.config} describes: restore it from a copy, or start anew with --overwrite"
            ) from error
        _set_global_rng(state["rng"])
        first_step, best_objective = state["step"], state["best_objective"]
        window.sums, window.steps = state["window_sums"], state["window_steps"]
    progress = TrainingProgress(total_steps, first_step, quiet=not is_main)
    if first_step == total_steps:
        progress.say(f"{run.folder} is trained already: all its {total_steps} steps are done")
        return evaluated
    if half_precision and accelerator.device.type == "cpu":
        slowdown = bfloat16_slowdown()
        if slowdown > 1.5:
            progress.say(
                f"note: this processor multiplies {slowdown:.0f} times as slowly in bfloat16 as in "
                "float32: training.precision=float32 trains the same model sooner here"
            )
    wrapped, prepared_optimizer = accelerator.prepare(objective, optimizer)

    def save(step: int) -> None:
        """Save everything that step ``step`` needs to follow as if nothing had happened."""
        if is_main:
            state = {
                "step": step,
                "train_set": model.data["train_sha256"],
                "objective": objective.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": average.state_dict() if average else {},
                "rng": _global_rng(),
                "best_objective": best_objective,
                "metrics_size": record.size,
                "window_sums": window.sums,
                "window_steps": window.steps,
            }
            run.save_state(state, evaluated, step=step, keep=config.checkpoints.keep)

    record = MetricsRecord(
        run.metrics if is_main else None,
        run.events if is_main and config.logging.tensorboard else None,
        resume_at=state["metrics_size"] if state else None,
        step=first_step,
    )
    # Each process holds its rows of the global batch, in parts.
    first_part = accelerator.process_index * options.accumulation
    parts = [
        slice(part * part_size, (part + 1) * part_size)
        for part in range(first_part, first_part + options.accumulation)
    ]
    batches = prefetched(_batches(config, train_set, range(first_step, total_steps), parts))
    with record, progress.live(), listen_for_interruption() as interruption, closing(batches):
        last_save = time.monotonic()
        step_seconds: list[float] = []
        for step in range(first_step, total_steps):
            step_started = time.monotonic()
            epoch = step // steps_per_epoch

            # Schedules.
            learning_rate = options.learning_rate * learning_rate_factor(
                step,
                total=total_steps,
                warmup=round(options.warmup_epochs * steps_per_epoch),
                schedule=options.schedule,
            )
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            kl_warmup, consistency_warmup = _warmups(config, step, steps_per_epoch)

            # Forward and backward, in parts.
            wrapped.train()
            totals: dict[str, Tensor] = {}
            for rows in parts:
                batch = next(batches)
                generator = keyed_generator(
                    "step", config.seed, epoch, step, device=accelerator.device
                )
                draws = Draws(generator, options.batch_size, rows)
                is_last = rows == parts[-1]
                with nullcontext() if is_last else accelerator.no_sync(wrapped):
                    with torch.autocast(
                        accelerator.device.type, torch.bfloat16, enabled=half_precision
                    ):
                        terms: Terms = wrapped(
                            torch.from_numpy(batch).to(accelerator.device),
                            draws,
                            kl_warmup,
                            consistency_warmup,
                        )
                    accelerator.backward(-terms["objective"].mean() / options.accumulation)
                for name, mean in scalar_means(terms).items():
                    totals[name] = totals.get(name, 0.0) + mean / options.accumulation

            # Stop before a bad step is taken.
            names = list(totals)
            values = accelerator.reduce(torch.stack([totals[name] for name in names]), "mean")
            means = dict(zip(names, values.tolist(), strict=True))
            unused = _terms_not_maximised(config, consistency_warmup)
            _check_finite(means, unused, f"at step {step + 1}", run)
            norm = accelerator.clip_grad_norm_(
                wrapped.parameters(), options.clip_norm or float("inf")
            )
            means["gradient_norm"] = float(norm)
            _check_finite(means, unused, f"at step {step + 1}", run)

            prepared_optimizer.step()
            prepared_optimizer.zero_grad()
            if average:
                average.update_parameters(model)
            window.add(means)
            progress.advance()
            step_seconds.append(time.monotonic() - step_started)

            # Report.
            done = step + 1
            if done % config.logging.every_steps == 0:
                speed = len(step_seconds) * options.batch_size / sum(step_seconds)
                step_seconds.clear()
                averages = window.take()
                progress.show(f"epoch {epoch + 1}/{options.epochs}", averages, speed)
                record.add(
                    "train",
                    done,
                    done / steps_per_epoch,
                    {**averages, "learning_rate": learning_rate, "items_per_second": speed},
                )

            # Evaluate at the end of an epoch.
            ends_epoch = done % steps_per_epoch == 0
            if ends_epoch:
                with _failing_together(accelerator):
                    if is_main:
                        results = evaluate(config, evaluated, evaluated_objective, validation_set)
                        unused = _terms_not_maximised(config, consistency_warmup=1.0)
                        _check_finite(results, unused, f"in validation after step {done}", run)
                        every = config.logging.probe_every_epochs
                        if watchers.probe and _is_due(every, epoch, options):
                            results["probe_accuracy"] = watchers.probe(evaluated)
                        record.add("validation", done, done / steps_per_epoch, results)
                        every = config.logging.pictures_every_epochs
                        if watchers.picture and _is_due(every, epoch, options):
                            image = watchers.picture(evaluated, epoch + 1)
                            record.add_picture("reconstructions", done, image)
                        if results["objective"] > best_objective:
                            best_objective = results["objective"]
                            run.save_best(evaluated)
                        progress.say(_epoch_line(epoch, config, results, progress.time_left()))
                        warm = kl_warmup == consistency_warmup == 1
                        fell = _has_fallen(results["objective"], best_objective)
                        if warm and fell and not told_fall:
                            told_fall = True
                            progress.say(
                                f"note: the objective fell to {results['objective']:,.0f} from "
                                f"{best_objective:,.0f}: unless it comes back, training has "
                                "diverged; --which best of other commands takes the state of "
                                "before, and a lower training.learning_rate may avoid it"
                            )

            # Save.
            minutes = config.checkpoints.every_minutes
            overdue = minutes is not None and time.monotonic() - last_save > 60 * minutes
            stop = _agree(accelerator, interruption.signal_number)
            if (
                stop
                or (ends_epoch and (epoch + 1) % config.checkpoints.every_epochs == 0)
                or _agree(accelerator, int(overdue))
                or done == total_steps
            ):
                with _failing_together(accelerator):
                    save(done)
                last_save = time.monotonic()
            if stop:
                raise Interrupted(
                    stop,
                    f"stopped after step {done} of {total_steps}; go on with the same command "
                    "and --resume (in place of --overwrite)",
                )
    return evaluated


def _has_fallen(objective: float, best: float) -> bool:
    """Whether an objective is so far below its best that noise cannot be why."""
    return best - objective > 4 * max(abs(best), 1.0)


def evaluate(
    config: Config, model: Pretrained, objective: TrainingObjective, items: ItemSet
) -> dict[str, Any]:
    """Mean terms on ``items`` under fixed draws, active units and the KL per dimension."""
    batches: list[Terms] = []  # means over each: a hierarchy's KLs a dimension are many an item
    units = ActiveUnits()
    sizes: list[int] = []
    size = config.training.batch_size
    starts = range(0, len(items), size)
    prepared = prefetched(
        batch_of(
            items,
            np.arange(start, min(start + size, len(items))),
            config.data.points,
            "validation points",
            config.seed,
        )
        for start in starts
    )
    with evaluating(objective), closing(prepared):
        for start, batch in zip(starts, prepared, strict=True):
            x = torch.from_numpy(batch).to(model.device)
            generator = keyed_generator("validation", config.seed, start, device=model.device)
            terms = objective(x, Draws(generator, len(x)))
            batches.append({name: term.cpu().double().mean(dim=0) for name, term in terms.items()})
            units.add(model.posterior(x).mean.cpu())
            sizes.append(len(x))
    weights = torch.tensor(sizes, dtype=torch.float64) / sum(sizes)
    results: dict[str, Any] = {}
    for name in batches[0]:
        per_batch = torch.stack([terms[name] for terms in batches])
        results[name] = torch.tensordot(weights, per_batch, dims=1).tolist()
    results["active_units"] = units.count()
    return results


def _batches(
    config: Config, items: ItemSet, steps: range, parts: list[slice]
) -> Iterator[NDArray[np.float32]]:
    """The items of each of ``steps``, one of the ``parts`` of its batch after another."""
    size = config.training.batch_size
    for step in steps:
        epoch, step_of_epoch = divmod(step, len(items) // size)
        if step_of_epoch == 0 or step == steps.start:
            order = keyed_numpy_generator("order", config.seed, epoch).permutation(len(items))
        batch = order[step_of_epoch * size :][:size]
        for rows in parts:
            yield batch_of(items, batch[rows], config.data.points, "points", config.seed, epoch)


def build_optimizer(model: nn.Module, options: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019), decaying weight matrices and nothing else.

    Fused: one pass over all parameters, on the device where they lie now.
    """
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": options.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=options.learning_rate,
        fused=True,
    )


def _warmups(config: Config, step: int, steps_per_epoch: int) -> tuple[float, float]:
    beta_epochs = getattr(config.objective, "warmup_epochs", 0.0)
    lambda_epochs = config.consistency.warmup_epochs if config.consistency else 0.0
    return (
        warmup_factor(step, beta_epochs * steps_per_epoch),
        warmup_factor(step, lambda_epochs * steps_per_epoch),
    )


def _terms_not_maximised(config: Config, consistency_warmup: float) -> str | None:
    """What is reported only, with its parts, and may be infinite without harm."""
    weight = config.consistency.weight if config.consistency else 0.0
    return None if weight * consistency_warmup > 0 else "consistency"


def _check_finite(terms: dict[str, Any], unused: str | None, when: str, run: Run) -> None:
    """Raise if one of the scalar ``terms`` is not finite, the parts before their sum."""
    for name in sorted(terms, key=lambda name: name == "objective"):
        is_finite = not isinstance(terms[name], float) or math.isfinite(terms[name])
        if not is_finite and name.partition("/")[0] != unused:
            states = run.states()
            kept = f"the last good state is {states[-1]}" if states else "no state was saved yet"
            raise UserError(
                f"the term {name} became {terms[name]} {when}, so training stopped ({kept}): "
                "lower training.learning_rate, or look at the data"
            )


def _is_due(every: int, epoch: int, options: TrainingConfig) -> bool:
    return every > 0 and ((epoch + 1) % every == 0 or epoch + 1 == options.epochs)


@contextmanager
def _failing_together(accelerator: Accelerator) -> Iterator[None]:
    """What the main process alone does, such as writing, stops all of them where it fails."""
    failure: Exception | None = None
    try:
        yield
    except (UserError, OSError) as error:
        failure = error
    anywhere = _agree(accelerator, int(failure is not None))
    if failure:
        raise failure
    if anywhere:
        raise UserError("the main process failed, and its own message says why")


def _agree(accelerator: Accelerator, number: int) -> int:
    """The largest ``number`` of any process."""
    if accelerator.num_processes == 1:
        return number
    mine = torch.tensor([number], device=accelerator.device)
    return int(accelerator.gather(mine).max())


def _epoch_line(epoch: int, config: Config, results: dict[str, Any], time_left: str) -> str:
    shown = ("objective", "log_likelihood", "kl", "consistency", "active_units", "probe_accuracy")
    text = "  ".join(f"{name} {results[name]:.4g}" for name in shown if name in results)
    return f"epoch {epoch + 1}/{config.training.epochs}  {text}  left {time_left}"


def _global_rng() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _set_global_rng(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    for device, device_state in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(device_state, device)
