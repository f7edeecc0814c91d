"""What would fail every run of a study, refused before anything starts."""

from pathlib import Path

from pc_crvae.config import MixtureConfig, PointModelConfig
from pc_crvae.data import load
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.protocol import load_protocol
from pc_crvae.evaluation.robustness.corruptions import LOCAL_POINTS
from pc_crvae.runs.saved import load_splits
from pc_crvae.study.plan import PlannedRun
from pc_crvae.study.schema import Study


def check_feasible(study: Study, runs: list[PlannedRun]) -> None:
    """Check the protocol of the probe, and the data against what is asked of it.

    Raises:
        UserError: the protocol or the data cannot be loaded, models are of another modality than
            what measures them, or the data is too small.
    """
    if study.probe is not None:
        load_protocol(study.probe.protocol)
        if study.probe.data is not None:
            root = study.probe.data_root
            load(study.probe.data, "test", root=Path(root) if root else None)
    checked = []
    for run in runs:
        data = run.config.data
        if study.evaluation is not None and isinstance(run.config.model, PointModelConfig):
            raise UserError(
                f"the arm {run.arm} is a model of points, and evaluation needs images: ask for a "
                "probe, or for measures.generation"
            )
        if data not in checked:
            load_splits(run.config)
            checked.append(data)
        if run.seed == study.seeds[0]:
            _check_probe(study, run)
            _check_measures(study, run)


def _check_probe(study: Study, run: PlannedRun) -> None:
    probe, data = study.probe, run.config.data
    if probe is None or probe.split != "test" or probe.data is not None:
        return
    if isinstance(data, MixtureConfig):
        raise UserError(
            f"the arm {run.arm} trains on a mixture, {data.name}, which has no test split of "
            "its own: name a set in probe.data"
        )


def _check_measures(study: Study, run: PlannedRun) -> None:
    asked, name = study.measures.asked_of(run.arm), run.config.data.name
    if not asked:
        return
    if not isinstance(run.config.model, PointModelConfig):
        raise UserError(
            f"the arm {run.arm} is a model of images, and measures need points: ask for an "
            "evaluation"
        )
    if isinstance(run.config.data, MixtureConfig):
        raise UserError(
            f"{name} is a mixture, which has no split test of its own: leave measures out"
        )
    test = load(name, "test", **run.config.data.reading)
    generation, robustness = study.measures.generation, study.measures.robustness
    if "generation" in asked and generation is not None and generation.count > len(test):
        raise UserError(
            f"measures.generation.count is {generation.count}, and the test split of {name} "
            f"has {len(test)} shapes: lower it"
        )
    if "robustness" not in asked or robustness is None:
        return
    available, most = test.array.shape[1], max(LOCAL_POINTS)
    if robustness.points > available:
        raise UserError(
            f"measures.robustness.points is {robustness.points:,}, and the test shapes of "
            f"{name} have {available:,}: lower it"
        )
    if robustness.points <= most:
        raise UserError(
            f"measures.robustness.points is {robustness.points:,}, and the corruptions leave out "
            f"up to {most} points: raise it, or leave robustness out"
        )
