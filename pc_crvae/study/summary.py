"""What a study's runs add up to, from what they stored: per arm over seeds, and between arms."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.cards import load_card
from pc_crvae.errors import UserError
from pc_crvae.evaluation.metrics.significance import LEVEL, paired_difference
from pc_crvae.evaluation.probe.comparison import StoredProbe, read_probe
from pc_crvae.evaluation.probe.predictions import row_name
from pc_crvae.runs.record import read_curve
from pc_crvae.study.evaluations import (
    describe_cut,
    describe_evaluations,
    figure_differences,
    read_evaluation,
)
from pc_crvae.study.figures import Report, describe_figures, over_seeds
from pc_crvae.study.measures import figures_of, read_measurement
from pc_crvae.study.plan import PlannedRun, same_run, train_overrides
from pc_crvae.study.runner import Outcomes
from pc_crvae.study.schema import MEASURES, Measure, Study
from pc_crvae.study.steps import (
    evaluation_of,
    last_validation,
    measurement_of,
    remaining_steps,
    report_of,
)

TERMS = ("log_likelihood", "kl", "consistency", "active_units")
METHOD = (
    "bootstrap percentile over test items and training seeds, each item's rightness averaged over "
    "the probe seeds of a training seed; untrained encoders, which have no training seed, stand "
    "beside every one"
)


def summarize(
    study: Study, runs: Sequence[PlannedRun], where: Path, out: Path, outcomes: Outcomes
) -> dict[str, Any]:
    """Gather everything that is stored of a study, ready for JSON.

    Args:
        study: the arms.
        runs: all of them.
        where: the study's file, as it was given.
        out: the study's folder.
        outcomes: of the call at work; what it does not tell is read off the folders.

    Raises:
        UserError: a run's outputs are damaged.
    """
    complete = {
        run.name: run for run in runs if run.name not in outcomes.running and _complete(run, study)
    }
    probes, evaluations = {}, {}
    if study.probe is not None:
        probes = {name: read_probe(report_of(run, study.probe)) for name, run in complete.items()}
    if study.evaluation is not None:
        evaluations = {
            name: read_evaluation(evaluation_of(run, study.evaluation))
            for name, run in complete.items()
        }
    reports = [*(probe.report for probe in probes.values()), *evaluations.values()]
    stored = {
        "title": study.title,
        "question": study.question,
        "study": str(where),
        "out": str(out),
        "split": study.split,
        "seeds": list(study.seeds),
        "level": LEVEL,
        "method": METHOD,
        "runs": [_describe_run(run, run.name in complete, outcomes) for run in runs],
        "data": _data_cut(list(complete.values()), probes, study),
        "protocol": next((probe.report["protocol"] for probe in probes.values()), None),
        "versions": next((report["versions"] for report in reports), None),
        "measures": study.measures.model_dump(mode="json"),
        "evaluated": next(
            (describe_cut(complete[name], report) for name, report in evaluations.items()), None
        ),
        "arms": [
            _describe_arm(study, name, list(complete.values()), probes, evaluations)
            for name in study.arms
        ],
    }
    stored["differences"] = [
        row
        for pair in study.compare
        for row in _differences(study, pair, list(complete.values()), probes)
    ]
    stored["figure_differences"] = [
        row
        for pair in study.compare
        for row in _figure_differences(study, pair, list(complete.values()), evaluations)
    ]
    return stored


def _complete(run: PlannedRun, study: Study) -> bool:
    recorded = run.folder / "config.yaml"
    if not recorded.is_file():
        return False
    from pc_crvae.config import load_config

    return same_run(load_config(recorded), run.config) and not remaining_steps(
        run, study, Path("unused")
    )


def _describe_run(run: PlannedRun, complete: bool, outcomes: Outcomes) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": run.name,
        "arm": run.arm,
        "seed": run.seed,
        "folder": str(run.folder),
    }
    if run.name in outcomes.failed:
        return described | {"status": "failed", "error": outcomes.failed[run.name]}
    if complete:
        minutes = read_curve(run.folder, "objective").minutes[-1]
        return described | {"status": "complete", "training_minutes": minutes}
    if run.name in outcomes.running:
        return described | {"status": "running"}
    return described | {"status": "interrupted" if run.folder.exists() else "waiting"}


def _data_cut(
    runs: Sequence[PlannedRun], probes: dict[str, StoredProbe], study: Study
) -> list[dict[str, Any]]:
    """Counts of what was used, against those of the cards; one entry a data set."""
    cuts: dict[str, dict[str, Any]] = {}
    for run in runs:
        if run.name not in probes:
            continue
        data = probes[run.name].report["data"]
        card = load_card(run.config.data.name)
        official = {split: card.splits[split].count for split in card.splits}
        cuts[run.config.data.name] = {
            "name": card.name,
            "fitted_on": data["train"]["count"],
            "scored_on": data["test"]["count"],
            "scored_split": study.split,
            "validation_fraction": run.config.data.validation_fraction,
            "card": official,
            "sha256": {"fitted_on": data["train"]["sha256"], "scored_on": data["test"]["sha256"]},
        }
    return list(cuts.values())


def _describe_arm(
    study: Study,
    name: str,
    complete: Sequence[PlannedRun],
    probes: dict[str, StoredProbe],
    evaluations: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    arm = study.arms[name]
    own = _runs_of(study, name, complete)
    measured = _measured(study, own[:1] if arm.untrained_of else own)
    described: dict[str, Any] = {
        "name": name,
        "about": arm.about,
        "seeds": [run.seed for run in own],
    }
    if arm.untrained_of is None:
        first = train_overrides(study, name, study.seeds[0])
        described |= {
            "config": arm.config or study.config,
            "overrides": first,
            "passes": own[0].passes if own else None,
            "terms": _terms(own),
            "training_minutes": over_seeds(
                [read_curve(run.folder, "objective").minutes[-1] for run in own]
            ),
            "figures": describe_evaluations(
                [evaluations[run.name] for run in own if run.name in evaluations]
            ),
        }
    else:
        described["untrained_of"] = arm.untrained_of
    described["measured"] = {
        measure: describe_figures(of_runs, figures_of(measure, _features(study, name)))
        for measure, of_runs in measured.items()
        if of_runs and (arm.untrained_of is None or measure == "robustness")
    }
    described["rows"] = []
    keys = _row_keys([probes[run.name] for run in own if run.name in probes])
    for representation, setting in keys:
        row = row_name(_features(study, name), representation, setting)
        tables = [probes[run.name].predictions.correct(row) for run in own]
        if arm.untrained_of is None:
            accuracies = [float(table.mean()) for table in tables]
        else:  # the same encoders beside every run: their seeds are those of the probe
            accuracies = [float(of_seed.mean()) for of_seed in tables[0]]
        described["rows"].append(
            {
                "representation": representation,
                "setting": setting,
                **over_seeds(accuracies),
                "spread_over": "probe seeds" if arm.untrained_of else "training seeds",
            }
        )
    return described


def _measured(study: Study, runs: Sequence[PlannedRun]) -> dict[Measure, list[Report]]:
    return {
        measure: [
            read_measurement(measurement_of(run, measure), measure)
            for run in runs
            if measure in study.measures.asked_of(run.arm)
        ]
        for measure in MEASURES
    }


def _differences(
    study: Study,
    pair: tuple[str, str],
    complete: Sequence[PlannedRun],
    probes: dict[str, StoredProbe],
) -> list[dict[str, Any]]:
    """Rows that both arms have, over the training seeds that both completed."""
    if not probes:
        return []
    sides = [{run.seed: probes[run.name] for run in _runs_of(study, arm, complete)} for arm in pair]
    seeds = [seed for seed in sides[0] if seed in sides[1]]
    if not seeds:
        return []
    both = [[side[seed] for seed in seeds] for side in sides]
    reference = both[0][0].predictions
    for probe in (*both[0], *both[1]):
        if probe.predictions.items != reference.items:
            raise UserError(
                f"{both[0][0].path} and {probe.path} were probed on different items, so arms "
                "cannot be compared: give all arms the same data"
            )
    others = _row_keys(both[1])
    rows = []
    for representation, setting in _row_keys(both[0]):
        if (representation, setting) not in others:
            continue
        first, second = (
            _rightness(of_side, row_name(_features(study, arm), representation, setting))
            for of_side, arm in zip(both, pair, strict=True)
        )
        difference = paired_difference(first, second)
        rows.append(
            {
                "first": pair[0],
                "second": pair[1],
                "representation": representation,
                "setting": setting,
                "difference": difference.mean,
                "interval": [difference.low, difference.high],
                "of_seeds": (first - second).mean(axis=1).tolist(),
                "training_seeds": seeds,
            }
        )
    return rows


def _figure_differences(
    study: Study,
    pair: tuple[str, str],
    complete: Sequence[PlannedRun],
    evaluations: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    if not evaluations or any(study.arms[arm].untrained_of for arm in pair):
        return []
    first, second = (
        {run.seed: evaluations[run.name] for run in _runs_of(study, arm, complete)} for arm in pair
    )
    return figure_differences(pair, (first, second))


def _runs_of(study: Study, arm: str, complete: Sequence[PlannedRun]) -> list[PlannedRun]:
    trained = study.arms[arm].untrained_of or arm
    return [run for run in complete if run.arm == trained]


def _features(study: Study, arm: str) -> str:
    return "trained" if study.arms[arm].untrained_of is None else "untrained"


def _rightness(probes: Sequence[StoredProbe], row: str) -> NDArray[np.float64]:
    """How often each item was classified right, (training seeds, items)."""
    return np.stack([probe.predictions.correct(row).mean(axis=0) for probe in probes])


def _row_keys(probes: Sequence[StoredProbe]) -> list[tuple[str, str]]:
    """Representation and setting of each row, in the order of the first report."""
    if not probes:
        return []
    report = probes[0].report
    rows = [*report["rows"], *report["extra_rows"]]
    return list(dict.fromkeys((row["representation"], row["setting"]) for row in rows))


def _terms(runs: Sequence[PlannedRun]) -> dict[str, dict[str, Any]]:
    """Means of the validation split after the last epoch."""
    found: dict[str, list[float]] = {}
    for run in runs:
        last = last_validation(run)
        values = last.values if last else {}
        for name in TERMS:
            value = values.get(name)
            if isinstance(value, int | float):
                found.setdefault(name, []).append(float(value))
    return {name: over_seeds(values) for name, values in found.items()}
