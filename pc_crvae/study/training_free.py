"""The training-free rows of a study, each made by the probe of one run and the bar of many."""

from collections.abc import Mapping, Sequence

from pc_crvae.embedding.names import TRAINING_FREE
from pc_crvae.evaluation.probe.comparison import StoredProbe
from pc_crvae.evaluation.probe.predictions import row_name
from pc_crvae.study.figures import accuracy_of
from pc_crvae.study.folds import bar_of_folds
from pc_crvae.study.plan import PlannedRun, bar_of
from pc_crvae.study.results import TrainingFreeResult
from pc_crvae.study.schema import Study


def training_free_rows(
    study: Study, runs: Sequence[PlannedRun], probes: Mapping[str, StoredProbe]
) -> tuple[TrainingFreeResult, ...]:
    """Take the rows from the probes that made them.

    Args:
        study: the study.
        runs: all of its runs.
        probes: those of complete runs, by name.
    """
    found = []
    for run in runs:
        if not run.makes_bar or run.name not in probes:
            continue
        row = _row(run, probes[run.name], _arms_of(bar_of(run, study), study, runs))
        found += [] if row is None else [row]
    return tuple(found)


def _arms_of(bar: str, study: Study, runs: Sequence[PlannedRun]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(run.arm for run in runs if bar_of(run, study) == bar))


def _row(run: PlannedRun, probe: StoredProbe, arms: tuple[str, ...]) -> TrainingFreeResult | None:
    chosen = probe.found.training_free
    if chosen is None:
        return None
    rows = []
    for setting in [row.setting for row in probe.found.rows if row.features == TRAINING_FREE]:
        right = probe.predictions.correct(row_name(TRAINING_FREE, chosen.chosen, setting))
        of_seeds = right.mean(axis=1).tolist()
        rows.append(accuracy_of(chosen.chosen, setting, of_seeds, "probe seeds"))
    return TrainingFreeResult(
        kind=chosen.chosen,
        frames=chosen.frames,
        run=run.name,
        arms=arms,
        rows=tuple(rows),
        folds=bar_of_folds(probe.found.cross_validation),
    )
