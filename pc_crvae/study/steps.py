"""The commands that make up one run of a study, and whether their outputs are there already."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pc_crvae.config import PointModelConfig, load_config
from pc_crvae.config.sections import Section
from pc_crvae.data.cards import load_card
from pc_crvae.errors import UserError
from pc_crvae.evaluation.generation.report import GenerationReport
from pc_crvae.evaluation.images.report import ImageReport
from pc_crvae.evaluation.probe.predictions import predictions_path
from pc_crvae.evaluation.probe.protocol import load_protocol
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.evaluation.reports import Checkpoint, DataCut, Report, is_of_weights
from pc_crvae.evaluation.robustness.conditions import PARTS
from pc_crvae.runs.folder import Run
from pc_crvae.runs.record import Moment, read_moments
from pc_crvae.study import schema
from pc_crvae.study.figures import has
from pc_crvae.study.measures import read_measurement
from pc_crvae.study.plan import PlannedRun, same_run

StepName = Literal["train", "probe", "evaluate"] | schema.Measure
_Report = TypeVar("_Report", bound=Report)
_COMMAND = (sys.executable, "-c", "import sys; from pc_crvae.cli import main; sys.exit(main())")


@dataclass(frozen=True)
class Step:
    """One process: what it is called, and its command line."""

    name: StepName
    command: tuple[str, ...]


def report_of(
    run: PlannedRun,
    kind: Literal["probe", "evaluation"] | schema.Measure,
    split: Literal["test", "validation"] = "test",
) -> Path:
    """Where what is measured of a run is written to."""
    return run.folder / (f"{kind}.json" if split == "test" else f"{kind}-{split}.json")


def refuse_foreign(run: PlannedRun) -> None:
    """Refuse what lies in a run's place and is no run of the planned configuration.

    Raises:
        UserError: it is there.
    """
    recorded = run.folder / "config.yaml"
    if not recorded.is_file():
        if Run(run.folder).exists:
            raise UserError(
                f"{run.folder} is in the way and is no run: move it, or name another folder"
            )
        return
    if not same_run(load_config(recorded), run.config):
        raise UserError(
            f"{run.folder} was run with another config than the study has now: move it away to "
            "run it anew, or name another folder"
        )


def remaining_steps(run: PlannedRun, study: schema.Study, config_path: Path) -> list[Step]:
    """The processes that a run still needs, in their order.

    Training is finished when its last epoch was recorded and saved; a probe or an evaluation, when
    its report has what the study asks for and is no older than the model.

    Args:
        run: the run that is asked about.
        study: says how it is probed and measured.
        config_path: holds the run's resolved configuration.

    Raises:
        UserError: the metrics of the run are damaged.
    """
    trained = is_trained(run)
    steps = [] if trained else [_training(run, config_path)]
    if study.probe is not None and not (trained and _is_probed(run, study.probe)):
        steps.append(_probing(run, study.probe))
    evaluation = study.evaluation
    if evaluation is not None and not (trained and _is_evaluated(run, evaluation)):
        path = report_of(run, "evaluation", evaluation.split)
        steps.append(_measuring("evaluate", run, ["--json", str(path), *_options(evaluation)]))
    for measure in study.measures.asked_of(run.arm):
        if not (trained and is_measured(run, measure, study.measures)):
            steps.append(_measuring(measure, run, _options(getattr(study.measures, measure))))
    return steps


def is_trained(run: PlannedRun) -> bool:
    """Whether the last epoch was recorded, and the state after it saved."""
    last = last_validation(run)
    if last is None or run.share_done(last) < 1:
        return False
    return [path.name for path in Run(run.folder).states()[-1:]] == [f"step-{last.step:08d}"]


def last_validation(run: PlannedRun) -> Moment | None:
    """The newest record of the validation split, None where there is none.

    Raises:
        UserError: the record is damaged.
    """
    stored = Run(run.folder)
    moments = read_moments(stored) if stored.metrics.is_file() else []
    return next((moment for moment in reversed(moments) if moment.split == "validation"), None)


def _training(run: PlannedRun, config_path: Path) -> Step:
    how: list[str] = []
    if Run(run.folder).states():
        how = ["--resume"]
    elif (run.folder / "config.yaml").is_file():
        how = ["--overwrite"]  # it was stopped before its first state
    command = (*_COMMAND, "train", str(config_path), "--out", str(run.folder), *how)
    return Step("train", command)


def _probing(run: PlannedRun, probe: schema.ProbeOfStudy) -> Step:
    path = report_of(run, "probe", probe.split)
    options = ["--json", str(path), "--protocol", probe.protocol]
    options += [] if probe.seeds is None else ["--seeds", str(probe.seeds)]
    # Folds compare each run with the bar item by item, so each probe makes the bar's row itself.
    options += ["--cross-validate"] if probe.cross_validate else []
    options += [] if run.makes_bar or probe.cross_validate else ["--no-training-free"]
    if probe.split == "test":
        options += [] if probe.data is None else ["--data", probe.data]
        options += [] if probe.data_root is None else ["--data-root", probe.data_root]
    else:
        options += ["--split", probe.split]
    return _measuring("probe", run, options)


def _measuring(name: StepName, run: PlannedRun, options: list[str]) -> Step:
    return Step(name, (*_COMMAND, name, "--ckpt", str(run.folder), *options))


def _options(asked: Section) -> list[str]:
    """A section as options of its command; which arms it is for is no concern of that."""
    values = asked.model_dump(exclude={"arms"}, exclude_none=True)
    named = ((f"--{name.replace('_', '-')}", str(value)) for name, value in values.items())
    return [word for option in named for word in option]


def _is_probed(run: PlannedRun, probe: schema.ProbeOfStudy) -> bool:
    path = report_of(run, "probe", probe.split)
    report = _current(path, ProbeReport.read, run)
    if report is None or not predictions_path(path).is_file():
        return False
    protocol = load_protocol(probe.protocol)
    seeds = protocol.seeds if probe.seeds is None else tuple(range(probe.seeds))
    # Untrained encoders of two kinds are no bar for each other's arms.
    asked = {"name": protocol.name, "seeds": seeds, "untrained": protocol.untrained}
    scored_on = report.data.test
    if not has(report.protocol, asked) or scored_on.split != probe.split:
        return False
    name = scored_on.name if isinstance(scored_on, DataCut) else None
    if probe.data is not None and name != load_card(probe.data).name:
        return False
    of_clouds = isinstance(run.config.model, PointModelConfig)
    if probe.cross_validate and report.cross_validation is None:
        return False
    needs_bar = (run.makes_bar or probe.cross_validate) and protocol.training_free and of_clouds
    return report.training_free is not None or not needs_bar


def _is_evaluated(run: PlannedRun, evaluation: schema.EvaluationOfStudy) -> bool:
    report = _current(report_of(run, "evaluation", evaluation.split), ImageReport.read, run)
    return report is not None and has(report.protocol, evaluation.model_dump())


def is_measured(run: PlannedRun, measure: schema.Measure, measures: schema.MeasuresOfStudy) -> bool:
    """Whether a run was put to a measure as the study asks.

    The same command by hand writes to the same place, with other options perhaps.
    """
    path = report_of(run, measure)
    report = _current(path, lambda path: read_measurement(path, measure), run)
    if report is None or report.checkpoint is None or report.checkpoint.which != "last":
        return False
    asked = getattr(measures, measure).model_dump(exclude={"arms"})
    if isinstance(report, GenerationReport):
        return has(report.protocol, asked | {"seed": 0, "points": 512})
    asked |= {"seeds": tuple(range(asked["seeds"])), "parts": PARTS, "untrained": "calibrated"}
    return has(report.protocol, asked) and all(
        errors.reference == "untrained" for errors in report.corruption_errors
    )


def _current(path: Path, read: Callable[[Path], _Report], run: PlannedRun) -> _Report | None:
    """The report, where it is of the run's weights and one of ours; else it is made again."""
    try:
        report = read(path)
        checkpoint: Checkpoint | None = getattr(report, "checkpoint", None)
        export = Run(run.folder).export()
        return report if is_of_weights(checkpoint, path, export) else None
    except (OSError, UserError):
        return None
