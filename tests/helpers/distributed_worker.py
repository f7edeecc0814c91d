"""What each process of the tests of distributed training runs: every case, one after another.

Plain gradient descent stands in for AdamW, which turns a rounding error in a gradient near
zero into a full step; so weights differ by as little as gradients do.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist

from helpers.projecting import ProjectingELBO
from helpers.tiny_runs import IMAGE_RUNS, acting_after, tiny_config, tiny_train
from pc_crvae.config import Config, TrainingConfig
from pc_crvae.errors import UserError
from pc_crvae.models.exports import write_export
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.runs.folder import Run
from pc_crvae.runs.saved import load_splits
from pc_crvae.training import build, distributed, state
from pc_crvae.training.callbacks import Callbacks, ValidationProbe
from pc_crvae.utils.interruption import Interrupted
from pc_crvae.utils.processes import parting

INTERRUPTED = "interrupted"
PROJECTING = "an objective with weights"
FAILING = "failing"
STOPPED = "stopped"
ORIGIN = "origin"
ON_CARDS = "on cards"
PROBED = ("without batch-norm", "IWAE")
CASES_ON_CARDS = ("without batch-norm", "synchronised batch-norm", "contrast by KL")

WITHOUT_BATCH_NORM = {"encoder": {"name": "pointnet", "widths": [8, 16], "batch_norm": False}}
CONTRAST = {
    "objective": {"name": "elbo", "weight": 0.0, "beta": 0.1},
    "consistency": {
        "form": "contrast",
        "score": "projector",
        "projector_widths": [8, 4],
        "warmup_epochs": 0.4,
    },
}
CASES = {
    "without batch-norm": {"model": WITHOUT_BATCH_NORM},
    "in two parts": {"model": WITHOUT_BATCH_NORM, "training": {"accumulation": 2}},
    "averaged weights": {"model": WITHOUT_BATCH_NORM, "training": {"ema_decay": 0.5}},
    "synchronised batch-norm": {},
    PROJECTING: {"model": WITHOUT_BATCH_NORM},
    "contrast by KL": {
        "model": WITHOUT_BATCH_NORM,
        "consistency": {"form": "contrast", "temperature": 5.0},
    },
    "contrast by a projector, nothing decoded": CONTRAST,
    "a frozen encoder": {"init": {"from": ORIGIN, "parts": ["encoder"], "freeze": ["encoder"]}},
    "batch-norm of each process": {"training": {"synchronize_batch_norm": False}},
    **IMAGE_RUNS,
}


def gradient_descent(
    objective: torch.nn.Module, options: TrainingConfig, *, frozen: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Stands in for `pc_crvae.training.build.build_optimizer`."""
    return torch.optim.SGD(objective.parameters(), lr=options.learning_rate, fused=True)


def case_config(folder: Path, sections: dict[str, Any]) -> Config:
    """An epoch of 5 steps."""
    # No clipping, which would hide a gradient that is too large as a whole.
    steady = {"epochs": 1, "learning_rate": 0.001, "clip_norm": None, "schedule": "constant"}
    init = sections.get("init")
    likelihood = {} if "name" in sections.get("model", {}) else {"likelihood": {"scale": 10.0}}
    return tiny_config(
        folder,
        **{name: sections[name] for name in ("data", "objective") if name in sections},
        model=likelihood | sections.get("model", {}),
        consistency={"weight": 1.0} | sections.get("consistency", {}),
        training=steady | sections.get("training", {}),
        logging={"every_steps": 1, "probe_every_epochs": 1},
        init=init and init | {"from": str(folder / init["from"])},
    )


def write_origin(folder: Path) -> None:
    """Save the model that cases start from."""
    torch.manual_seed(1)
    write_export(build.build_model(case_config(folder, {})), folder / ORIGIN)


def train_cases(folder: Path, names: Iterable[str] = tuple(CASES), device: str = "cpu") -> None:
    """Train each case of ``names`` in a folder of its name."""
    state.build_optimizer = gradient_descent
    for name in names:
        sections = CASES[name] | {"training": CASES[name].get("training", {}) | {"device": device}}
        objectives = {"elbo": ProjectingELBO} if name == PROJECTING else {}
        with mock.patch.dict(build.OBJECTIVES, objectives):
            config = case_config(folder, sections)
            callbacks = Callbacks()
            if name in PROBED:
                callbacks = Callbacks(ValidationProbe(config, *load_splits(config)))
            tiny_train(config, folder / name, callbacks=callbacks)


def train_interrupted(folder: Path) -> None:
    """Send the last process a signal at step 3, then go on."""
    config = case_config(folder, CASES["synchronised batch-norm"])

    def signal_the_last() -> None:
        if dist.get_rank() == dist.get_world_size() - 1:
            signal.raise_signal(signal.SIGTERM)

    try:
        with acting_after(3, signal_the_last):
            tiny_train(config, folder / INTERRUPTED)
    except Interrupted:
        tiny_train(config, folder / INTERRUPTED, resume=True)


def train_failing(folder: Path) -> None:
    """Have the main process, which alone writes, find the disk full at its first best state."""

    def full(run: Run, model: PointVAE) -> None:
        raise UserError("could not write the best state")

    Run.save_best = full
    tiny_train(case_config(folder, {}), folder / FAILING)


def train_beside_a_stopped(folder: Path) -> None:
    """Have the last process stopped at step 3, as the system does with one of a closed terminal."""
    distributed.IN_STEP = timedelta(seconds=5)

    def stop_the_last() -> None:
        if dist.get_rank() == dist.get_world_size() - 1:
            os.kill(os.getpid(), signal.SIGSTOP)

    with acting_after(3, stop_the_last):
        tiny_train(case_config(folder, {}), folder / STOPPED)


if __name__ == "__main__":
    worker_folder = Path(sys.argv[1])
    with parting():
        if sys.argv[2:] == [FAILING]:
            train_failing(worker_folder)
        elif sys.argv[2:] == [STOPPED]:
            train_beside_a_stopped(worker_folder)
        elif sys.argv[2:] == [ON_CARDS]:
            train_cases(worker_folder, CASES_ON_CARDS, "auto")
        else:
            train_cases(worker_folder)
            train_interrupted(worker_folder)
    left = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    (worker_folder / f"threads-{os.environ['RANK']}.json").write_text(json.dumps(left))
