"""What a study's runs add up to, from what they stored: per arm over seeds, and between arms."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.config import load_config
from pc_crvae.data.cards import load_card
from pc_crvae.embedding.names import FEATURES, Features
from pc_crvae.errors import UserError
from pc_crvae.evaluation.images.report import ImageReport
from pc_crvae.evaluation.metrics.significance import LEVEL, paired_difference, t_interval
from pc_crvae.evaluation.probe.comparison import StoredProbe, read_probe
from pc_crvae.evaluation.probe.predictions import row_name
from pc_crvae.evaluation.probe.report import ProbeReport
from pc_crvae.runs.record import read_curve
from pc_crvae.study import results
from pc_crvae.study.evaluations import describe_cut, describe_evaluations, figure_differences
from pc_crvae.study.figures import accuracy_of, describe_figures, over_seeds
from pc_crvae.study.folds import of_folds
from pc_crvae.study.measures import figures_of, read_measurement
from pc_crvae.study.plan import PlannedRun, same_run, train_overrides
from pc_crvae.study.runner import Outcomes
from pc_crvae.study.schema import MEASURES, Measure, Study
from pc_crvae.study.steps import last_validation, remaining_steps, report_of
from pc_crvae.study.training_free import training_free_rows

METHOD = " ".join(Path(__file__).with_name("method.txt").read_text(encoding="utf-8").split())


@dataclass(frozen=True)
class _Found:
    """What is stored of the complete runs: by name, their probes and evaluations."""

    study: Study
    complete: list[PlannedRun]
    probes: dict[str, StoredProbe]
    evaluations: dict[str, ImageReport]

    def runs_of(self, arm: str) -> list[PlannedRun]:
        """Complete runs of an arm, those of the trained one where it is of untrained encoders."""
        trained = self.study.arms[arm].untrained_of or arm
        return [run for run in self.complete if run.arm == trained]

    def features(self, arm: str) -> Features:
        """Which encoders an arm is of."""
        return "trained" if self.study.arms[arm].untrained_of is None else "untrained"


def summarize(
    study: Study, runs: Sequence[PlannedRun], where: Path, out: Path, outcomes: Outcomes
) -> results.StudySummary:
    """Gather everything that is stored of a study.

    Args:
        study: the arms.
        runs: all of them.
        where: the study's file, as it was given.
        out: the study's folder.
        outcomes: the outcomes that the call at work tells; the others are read off the folders.

    Raises:
        UserError: a run's outputs are damaged.
    """
    complete = {
        run.name: run for run in runs if run.name not in outcomes.running and _complete(run, study)
    }
    probes = {
        name: read_probe(report_of(run, "probe", study.split))
        for name, run in complete.items()
        if study.probe is not None
    }
    evaluations = {
        name: ImageReport.read(report_of(run, "evaluation", study.split))
        for name, run in complete.items()
        if study.evaluation is not None
    }
    reports: list[ProbeReport | ImageReport] = [probe.found for probe in probes.values()]
    reports += evaluations.values()
    found = _Found(study, list(complete.values()), probes, evaluations)
    return results.StudySummary(
        title=study.title,
        question=study.question,
        study=str(where),
        out=str(out),
        split=study.split,
        seeds=study.seeds,
        level=LEVEL,
        method=METHOD,
        runs=tuple(_describe_run(run, run.name in complete, outcomes) for run in runs),
        data=_data_cut(found),
        protocol=next((probe.found.protocol for probe in probes.values()), None),
        versions=reports[0].versions if reports else None,
        measures=study.measures,
        evaluated=next(
            (describe_cut(complete[name], report) for name, report in evaluations.items()), None
        ),
        arms=tuple(_describe_arm(found, name) for name in study.arms),
        differences=tuple(row for pair in study.compare for row in _differences(found, pair)),
        figure_differences=tuple(
            row for pair in study.compare for row in _figure_differences(found, pair)
        ),
        training_free=training_free_rows(study, runs, probes),
    )


def _complete(run: PlannedRun, study: Study) -> bool:
    recorded = run.folder / "config.yaml"
    if not recorded.is_file() or not same_run(load_config(recorded), run.config):
        return False
    return not remaining_steps(run, study, Path("unused"))


def _describe_run(run: PlannedRun, complete: bool, outcomes: Outcomes) -> results.RunResult:
    found: dict[str, Any] = {"status": "interrupted" if run.folder.exists() else "waiting"}
    if run.name in outcomes.failed:
        found = {"status": "failed", "error": outcomes.failed[run.name]}
    elif complete:
        found = {"status": "complete", "training_minutes": _minutes(run)}
    elif run.name in outcomes.running:
        found = {"status": "running"}
    return results.RunResult(
        name=run.name, arm=run.arm, seed=run.seed, folder=str(run.folder), **found
    )


def _minutes(run: PlannedRun) -> float:
    return read_curve(run.folder, "objective").minutes[-1]


def _data_cut(found: _Found) -> tuple[results.ProbedData, ...]:
    """Counts of what was used, against those of the cards; one entry a data set."""
    cuts: dict[str, results.ProbedData] = {}
    for run in found.complete:
        if run.name not in found.probes:
            continue
        data = found.probes[run.name].found.data
        asked = found.study.probe
        other = asked.data if asked else None
        name = other or run.config.data.name
        card = load_card(name)
        cuts[name] = results.ProbedData(
            name=card.name,
            fitted_on=data.train.count,
            scored_on=data.test.count,
            scored_split=found.study.split,
            validation_fraction=0.0 if other else run.config.data.validation_fraction,
            card={split: card.splits[split].count for split in card.splits},
            sha256={"fitted_on": data.train.sha256, "scored_on": data.test.sha256},
        )
    return tuple(cuts.values())


def _describe_arm(found: _Found, name: str) -> results.ArmResult:
    arm, own = found.study.arms[name], found.runs_of(name)
    what: dict[str, Any] = {"untrained_of": arm.untrained_of}
    if arm.untrained_of is None:
        evaluations = [found.evaluations[run.name] for run in own if run.name in found.evaluations]
        what = {
            "config": arm.config or found.study.config,
            "overrides": tuple(train_overrides(found.study, name, found.study.seeds[0])),
            "passes": own[0].passes if own else None,
            "terms": _terms(own),
            "training_minutes": over_seeds([_minutes(run) for run in own]),
            "figures": describe_evaluations(evaluations),
        }
    return results.ArmResult(
        name=name,
        about=arm.about,
        seeds=tuple(run.seed for run in own),
        **what,
        measured=_measured(found, name, own),
        rows=_accuracies(found, name, own),
        folds=_folds(found, name, own),
    )


def _measured(
    found: _Found, arm: str, runs: Sequence[PlannedRun]
) -> dict[Measure, dict[str, results.Spread]]:
    """Figures by measure; of untrained encoders those of robustness alone, of the first run."""
    features, chosen = found.features(arm), MEASURES
    if features == "untrained":
        chosen, runs = ("robustness",), runs[:1]
    described: dict[Measure, dict[str, results.Spread]] = {}
    for measure in chosen:
        reports = [
            read_measurement(report_of(run, measure), measure)
            for run in runs
            if measure in found.study.measures.asked_of(run.arm)
        ]
        if reports:
            described[measure] = describe_figures(reports, figures_of(measure, features))
    return described


def _accuracies(
    found: _Found, arm: str, runs: Sequence[PlannedRun]
) -> tuple[results.Accuracy, ...]:
    features = found.features(arm)
    rows = []
    probes = [found.probes[run.name] for run in runs if run.name in found.probes]
    for representation, setting in _row_keys(probes):
        row = row_name(features, representation, setting)
        tables = [probe.predictions.correct(row) for probe in probes]
        if features == "trained":
            accuracies = [float(table.mean()) for table in tables]
            rows.append(accuracy_of(representation, setting, accuracies, "training seeds"))
        else:  # the same encoders beside every run: their seeds are those of the probe
            accuracies = tables[0].mean(axis=1).tolist()
            rows.append(accuracy_of(representation, setting, accuracies, "probe seeds"))
    return tuple(rows)


def _folds(found: _Found, arm: str, runs: Sequence[PlannedRun]) -> tuple[results.OfFolds, ...]:
    features = found.features(arm)
    probes = [found.probes[run.name].found for run in runs if run.name in found.probes]
    of_runs = [folds for probe in probes if (folds := probe.cross_validation) is not None]
    return of_folds(of_runs if features == "trained" else of_runs[:1], features)


def _differences(found: _Found, pair: tuple[str, str]) -> list[results.AccuracyDifference]:
    """Rows that both arms have, over the training seeds that both completed."""
    if not found.probes:
        return []
    sides = [{run.seed: found.probes[run.name] for run in found.runs_of(arm)} for arm in pair]
    seeds = [seed for seed in sides[0] if seed in sides[1]]
    if not seeds:
        return []
    both = [[side[seed] for seed in seeds] for side in sides]
    reference = both[0][0]
    for probe in (*both[0], *both[1]):
        if probe.predictions.items != reference.predictions.items:
            raise UserError(
                f"{reference.path} and {probe.path} were probed on different items, so arms "
                "cannot be compared: give all arms the same data"
            )
    others = _row_keys(both[1])
    rows = []
    for representation, setting in _row_keys(both[0]):
        if (representation, setting) not in others:
            continue
        first, second = (
            _rightness(of_side, row_name(found.features(arm), representation, setting))
            for of_side, arm in zip(both, pair, strict=True)
        )
        rows.append(
            results.AccuracyDifference(
                first=pair[0],
                second=pair[1],
                representation=representation,
                setting=setting,
                **paired_difference(first, second),
                t_interval=t_interval(first, second),
                of_seeds=tuple((first - second).mean(axis=1).tolist()),
                training_seeds=tuple(seeds),
            )
        )
    return rows


def _figure_differences(found: _Found, pair: tuple[str, str]) -> list[results.FigureDifference]:
    if not found.evaluations or "untrained" in map(found.features, pair):
        return []
    first, second = (
        {run.seed: found.evaluations[run.name] for run in found.runs_of(arm)} for arm in pair
    )
    return figure_differences(pair, (first, second))


def _rightness(probes: Sequence[StoredProbe], row: str) -> NDArray[np.float64]:
    """How often each item was classified right, (training seeds, items)."""
    return np.stack([probe.predictions.correct(row).mean(axis=0) for probe in probes])


def _row_keys(probes: Sequence[StoredProbe]) -> list[tuple[str, str]]:
    """Representation and setting of each row, in the order of the first report.

    The row of a training-free descriptor is that of no arm.
    """
    if not probes:
        return []
    report = probes[0].found
    rows = [row for row in report.rows + report.extra_rows if row.features in FEATURES]
    return list(dict.fromkeys((row.representation, row.setting) for row in rows))


def _terms(runs: Sequence[PlannedRun]) -> dict[str, results.Spread]:
    """Means of the validation split after the last epoch."""
    found: dict[str, list[float]] = {}
    for run in runs:
        last = last_validation(run)
        values = last.values if last else {}
        for name in results.TERM_TITLES:
            value = values.get(name)
            if isinstance(value, int | float):
                found.setdefault(name, []).append(float(value))
    return {name: over_seeds(values) for name, values in found.items()}
