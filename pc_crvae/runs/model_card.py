"""The card of a model that comes with the package: what it is, how it was made, what it can do."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from pc_crvae import models
from pc_crvae.config import Config, PointModelConfig, load_config, plain
from pc_crvae.data.cards import load_card
from pc_crvae.errors import UserError
from pc_crvae.models.exports import WEIGHTS, SavedExport
from pc_crvae.models.points.vae import PointVAE
from pc_crvae.runs.finding import find_export, run_of
from pc_crvae.runs.folder import Run
from pc_crvae.runs.record import read_moments, read_record
from pc_crvae.utils.invocation import called
from pc_crvae.utils.resources import shipped_model
from pc_crvae.utils.templates import template_beside


@dataclass(frozen=True)
class Stage:
    """One of the trainings that made a model.

    Attributes:
        name: the name of its run's folder.
        config: its configuration.
        start: what it started from: a run's name, that of a model of the package, or None.
        steps: optimiser steps.
        minutes: the minutes of training, without evaluation and saving.
    """

    name: str
    config: Config
    start: str | None
    steps: int
    minutes: float

    @property
    def text(self) -> str:
        """The configuration as YAML, without the machine's folders."""
        values = plain(self.config)
        for one in values["data"].get("mixture", [values["data"]]):
            one["root"] = None
        if self.start is not None:
            values["init"]["from"] = self.start
        return yaml.safe_dump(values, sort_keys=False)


def stages_of(folder: Path) -> list[Stage]:
    """The trainings that made the model of a run, the first one first.

    Raises:
        UserError: the folder is no run, or a run that training started from has gone.
    """
    run = Run(folder)
    if not run.config.is_file():
        raise UserError(f"{folder} is no run, whose record a card is made of: name a run's folder")
    config = load_config(run.config)
    before: list[Stage] = []
    start = None
    if config.init is not None:
        source = Path(config.init.source)
        if shipped_model(source) is not None:
            start = config.init.source
        else:
            before = stages_of(run_of(find_export(source)).folder)
            start = f"runs/{before[-1].name}"
    steps = read_moments(run)[-1].step
    minutes = max(curve.minutes[-1] for curve in read_record(folder).curves.values())
    return [*before, Stage(folder.resolve().name, config, start, steps, minutes)]


def model_card(
    name: str, model: PointVAE, stages: list[Stage], export: SavedExport, figures: str
) -> str:
    """Write the card, in Markdown.

    Args:
        name: the name of the model.
        model: the model.
        stages: the trainings that made it, of which the last one's config says what it is.
        export: its files.
        figures: the measured figures, in Markdown; empty where there are none.
    """
    config = stages[-1].config
    assert isinstance(config.model, PointModelConfig)
    stages_by_set: dict[str, list[str]] = {}
    for stage in stages:
        for one in stage.config.data.sets:
            stages_by_set.setdefault(one.name, []).append(stage.name)
    return template_beside(__file__, "model_card.md", Path(models.__file__).parent).render(
        name=name,
        model=model,
        config=config,
        figures=figures,
        trained_on=[(load_card(one), of) for one, of in stages_by_set.items()],
        stages=stages,
        called=called,
        weights_file=WEIGHTS,
        weights=export.weights,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        sha256=export.weights_sha256,
    )
