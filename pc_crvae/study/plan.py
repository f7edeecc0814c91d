"""The runs that a study asks for, each with its resolved configuration."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pc_crvae import config as configs
from pc_crvae.errors import UserError
from pc_crvae.runs.record import Moment
from pc_crvae.runs.resumption import differences
from pc_crvae.study.schema import Study


@dataclass(frozen=True)
class PlannedRun:
    """One arm with one seed.

    Attributes:
        arm: its name.
        seed: the seed of training.
        config: resolved.
        folder: the folder of the run.
        makes_bar: whether its probe makes the training-free row, for all runs that share it.
    """

    arm: str
    seed: int
    config: configs.Config
    folder: Path
    makes_bar: bool = True

    @property
    def frames(self) -> str | None:
        """The rotations that do not matter to its model by frame averaging."""
        model = self.config.model
        return model.frames if isinstance(model, configs.PointModelConfig) else None

    @property
    def name(self) -> str:
        """Arm and seed, as the run's folder is called."""
        return self.folder.name

    @property
    def passes(self) -> int:
        """How often the encoder sees the training set, in each frame with ``model.frames``.

        Of a run by steps, how often it sees a batch.
        """
        model = self.config.model
        frames = model.passes_of_frames if isinstance(model, configs.PointModelConfig) else 1
        options = self.config.training
        length = options.epochs or options.steps or 0
        return length * (1 if self.config.consistency is None else 2) * frames

    def share_done(self, last: Moment) -> float:
        """The share of the training that is done where ``last`` was recorded."""
        options = self.config.training
        if options.steps is not None:
            return last.step / options.steps
        return last.epoch / (options.epochs or 1)


def plan_runs(study: Study, where: Path, out: Path) -> list[PlannedRun]:
    """Resolve every arm and seed, the first seed of all arms before the second of any.

    So an interrupted study has compared all arms, if on fewer seeds.

    Args:
        study: the arms.
        where: its file, to begin sentences with.
        out: folder of the study; runs lie in it.

    Raises:
        UserError: a config that is wrong, two arms of equal configs, an override of the seed,
            no arm that is trained, or unequal passes where equal ones are asked for.
    """
    runs = [
        PlannedRun(name, seed, _resolve(study, name, seed, where), out / f"{name}-seed{seed}")
        for seed in study.seeds
        for name, arm in study.arms.items()
        if arm.untrained_of is None
    ]
    if not runs:
        raise UserError(f"{where}: no arm is trained: untrained ones are read beside trained ones")
    firsts = [run for run in runs if run.seed == study.seeds[0]]
    for run, other in itertools.combinations(firsts, 2):
        if not differences(run.config, other.config, roots=True):
            raise UserError(
                f"{where}: the arms {run.arm} and {other.arm} have equal configs: change an "
                "override, or leave one out"
            )
    if study.equal_passes and len({run.passes for run in firsts}) > 1:
        counts = ", ".join(f"{run.arm} {run.passes}" for run in firsts)
        raise UserError(
            f"{where}: equal_passes is asked for, and the encoders pass over the training set "
            f"unequally often ({counts}): an arm without consistency takes twice the "
            "training.epochs of one with it"
        )
    return _sharing_bars(runs, study)


def _sharing_bars(runs: list[PlannedRun], study: Study) -> list[PlannedRun]:
    """Have the first of the runs that have the same training-free row make it."""
    made: set[str] = set()
    shared = []
    for run in runs:
        key = bar_of(run, study)
        shared.append(replace(run, makes_bar=key not in made))
        made.add(key)
    return shared


def bar_of(run: PlannedRun, study: Study) -> str:
    """What the training-free row beside a run depends on: data, points and frames, as a text."""
    data = run.config.data
    what: dict[str, Any] = {"points": data.points, "frames": run.frames}
    if study.probe is not None and study.probe.data is not None:
        return repr(what)
    what["data"] = configs.plain(data)
    if study.split == "validation":
        what["seed"] = run.seed
    return repr(what)


def train_overrides(study: Study, arm: str, seed: int) -> list[str]:
    """The overrides that ``train`` would take for a run, the study's before the arm's."""
    return [*study.overrides, *study.arms[arm].overrides, f"seed={seed}"]


def same_run(recorded: configs.Config, planned: configs.Config) -> bool:
    """Whether a recorded configuration is the planned one, but for where its data lies.

    What the planned one leaves open, the recorded one has as the run chose it.
    """
    return not differences(recorded, configs.settled_as(planned, recorded))


def _resolve(study: Study, name: str, seed: int, where: Path) -> configs.Config:
    arm = study.arms[name]
    for override in (*study.overrides, *arm.overrides):
        if override.partition("=")[0].strip() == "seed":
            raise UserError(f"{where}: the arm {name} sets seed, which seeds of the study do")
    try:
        config = configs.load_config(
            configs.find_config(Path(arm.config or study.config)),
            train_overrides(study, name, seed),
        )
    except UserError as error:
        raise UserError(f"{where}, arm {name}: {error}") from None
    return configs.with_absolute_paths(config)
