"""The state of a training: all that its next step needs to follow as if nothing had happened."""

from dataclasses import dataclass, field
from typing import Any, Self, cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pc_crvae.config import Config
from pc_crvae.data.cache.damage import require_undamaged
from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.models.pretrained import Pretrained
from pc_crvae.models.vae import VAE
from pc_crvae.objectives.base import TrainingObjective
from pc_crvae.runs.folder import Run
from pc_crvae.runs.metrics import RunningMean
from pc_crvae.training.build import build_optimizer, build_training_objective


@dataclass
class TrainingState:
    """What a step changes and the next one needs.

    Attributes:
        model: the model that is trained, a part of ``objective``.
        objective: the objective, with the weights that it owns besides the model's.
        optimizer: the optimiser of all parameters of ``objective``.
        average: the running average of ``objective``, None without one.
        step: steps done.
        best_objective: the highest on the validation split so far.
        window: means of the terms since they were last recorded.
        metrics_size: bytes of the run's record that belong to the state resumed from; None anew.
    """

    model: Pretrained
    objective: TrainingObjective
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    step: int = 0
    best_objective: float = -float("inf")
    window: RunningMean = field(default_factory=RunningMean)
    metrics_size: int | None = None

    @classmethod
    def of(cls, model: Pretrained, config: Config, device: torch.device) -> Self:
        """The state before the first step of training ``model``, on ``device``."""
        options = config.training
        objective = build_training_objective(config, model).to(device)
        average = None
        if options.ema_decay:
            decaying = get_ema_multi_avg_fn(options.ema_decay)  # type: ignore[no-untyped-call]
            average = AveragedModel(objective, multi_avg_fn=decaying, use_buffers=True).to(device)
            average.n_averaged = average.n_averaged.cpu()  # each update asks whether it is 0
        frozen = model.frozen_parameters() if isinstance(model, VAE) else ()
        return cls(model, objective, build_optimizer(objective, options, frozen=frozen), average)

    @property
    def evaluated(self) -> TrainingObjective:
        """The objective to evaluate by: the average, where there is one."""
        return cast(TrainingObjective, self.average.module) if self.average else self.objective

    @property
    def exported(self) -> Pretrained:
        """The model to evaluate and export: the average, where there is one."""
        return cast(Pretrained, self.evaluated.get_submodule(self._place_of_model))

    def gather(self, metrics_size: int) -> dict[str, Any]:
        """What `resume` goes on from: tensors, numbers, and plain containers of them.

        Args:
            metrics_size: bytes that the run's record has by now.
        """
        return {
            "step": self.step,
            "train_set": self.model.data["train_sha256"],
            "validation_set": self.model.data["validation_sha256"],
            "init": self.model.data.get("init"),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average else {},
            "rng": _global_rng(),
            "best_objective": self.best_objective,
            "metrics_size": metrics_size,
            "window_sums": self.window.sums,
            "window_steps": self.window.steps,
        }

    def resume(self, run: Run, train_set: ItemSet) -> None:
        """Go on from the newest state of ``run``, the global generators of torch included.

        Args:
            run: a run that trained on the same ``train_set``.
            train_set: the items that are trained on.

        Raises:
            UserError: the run has no state, or its newest is damaged, of other data or of another
                model; or what is kept of the data, prepared, is damaged.
        """
        saved = run.load_state()
        validation = self.model.data["validation_sha256"]
        # States of 0.1 do not have that of the validation part.
        if (
            saved["train_set"] != self.model.data["train_sha256"]
            or saved.get("validation_set", validation) != validation
        ):
            require_undamaged(train_set.name, "train")
            raise UserError(
                f"{run.folder} was started on other data than {train_set.name} holds now: "
                "point data.root at the same data, or overwrite the run to start anew"
            )
        try:
            self.objective.load_state_dict(saved["objective"])
            self.optimizer.load_state_dict(saved["optimizer"])
            if self.average:
                self.average.load_state_dict(self._of_whole_objective(saved["average"]))
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"the newest state in {run.checkpoints} holds another model than {run.config} "
                "describes: restore it from a copy, or overwrite the run to start anew"
            ) from error
        if saved.get("init") is not None:
            for model in (self.model, self.exported):
                model.data["init"] = saved["init"]
        _set_global_rng(saved["rng"])
        self.step, self.best_objective = saved["step"], saved["best_objective"]
        self.window.sums, self.window.steps = saved["window_sums"], saved["window_steps"]
        self.metrics_size = saved["metrics_size"]

    @property
    def _place_of_model(self) -> str:
        places: dict[int, str] = {id(m): name for name, m in self.objective.named_modules()}
        return places[id(self.model)]

    def _of_whole_objective(self, average: dict[str, Tensor]) -> dict[str, Tensor]:
        """A saved average; version 0.1 kept that of the model alone, under the model's names."""
        place = f"module.{self._place_of_model}."
        if any(name.startswith(place) for name in average):
            return average
        return {
            name.replace("module.", place, 1) if name.startswith("module.") else name: value
            for name, value in average.items()
        }


def _global_rng() -> dict[str, Any]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def _set_global_rng(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    for device, device_state in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(device_state, device)
