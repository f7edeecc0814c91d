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
        probe = probes.get(run.name)
        chosen = None if probe is None else probe.found.training_free
        if not run.makes_bar or probe is None or chosen is None:
            continue
        kind, bar = chosen.chosen, bar_of(run, study)
        rows = []
        for setting in [row.setting for row in probe.found.rows if row.features == TRAINING_FREE]:
            right = probe.predictions.correct(row_name(TRAINING_FREE, kind, setting))
            of_seeds = right.mean(axis=1).tolist()
            rows.append(accuracy_of(kind, setting, of_seeds, "probe seeds"))
        found.append(
            TrainingFreeResult(
                kind=kind,
                frames=chosen.frames,
                run=run.name,
                arms=tuple(dict.fromkeys(one.arm for one in runs if bar_of(one, study) == bar)),
                rows=tuple(rows),
                folds=bar_of_folds(probe.found.cross_validation),
            )
        )
    return tuple(found)
