"""A study whose runs are scored by folds of the training split as well."""

import numpy as np
import pytest
import yaml

from helpers.probe_reports import report_of, store_probe
from helpers.study_summaries import arm_of, summary_of
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.classifier_settings import LinearSVM
from pc_crvae.evaluation.probe.cross_validation import CrossValidation, Held, cross_validate
from pc_crvae.evaluation.probe.training_free import TrainingFree
from pc_crvae.study import steps
from pc_crvae.study.folds import bar_of_folds, of_folds
from pc_crvae.study.markdown import format_report
from pc_crvae.study.plan import plan_runs
from pc_crvae.study.schema import load_study
from pc_crvae.study.steps import remaining_steps

CHOSEN = TrainingFree(chosen="bps", candidates=(), frames=None, choice="")


def planned(folder, **probe):
    values = {"title": "a study", "config": "quickstart.yaml", "seeds": [0, 1]}
    values |= {"probe": probe, "arms": {"plain": {"overrides": ["consistency=null"]}, "cr": {}}}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    study = load_study(path)
    return study, plan_runs(study, path, folder / "out")


def folds_of(separation, seed=0):
    """Folds of two classes whose trained features lie ``separation`` deviations apart."""
    draws = np.random.default_rng(seed)
    labels = np.repeat([0, 1], 40)
    noise = draws.standard_normal((80, 1))
    rows = {
        ("trained", "pooled"): [Held(separation * labels[:, None] + noise, 1.0)],
        ("untrained", "pooled"): [Held(noise, 1.0)],
        ("training_free", "bps"): [Held(1.5 * labels[:, None] + noise, 1.0)],
    }
    return cross_validate(rows, labels, LinearSVM(), CrossValidation(repeats=2, folds=4))


def test_every_probe_makes_the_bar_that_its_folds_are_compared_with(tmp_path):
    study, runs = planned(tmp_path, cross_validate=True)
    for run in runs:
        (step,) = [s for s in remaining_steps(run, study, tmp_path) if s.name == "probe"]
        assert "--cross-validate" in step.command
        assert "--no-training-free" not in step.command


def test_a_probe_without_folds_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "is_of_weights", lambda *_: True)
    study, runs = planned(tmp_path, cross_validate=True)
    path = runs[0].folder / "probe.json"
    path.parent.mkdir(parents=True)
    stored = store_probe(path, {"trained.pooled.aligned": np.zeros((3, 4), int)}, [0, 1, 0, 1])
    report = report_of(stored).model_copy(update={"training_free": CHOSEN})
    found = []
    for folds in (None, folds_of(3.0)):
        report.model_copy(update={"cross_validation": folds}).write(path)
        found.append(steps._is_probed(runs[0], study.probe))
    assert found == [False, True]


def test_folds_of_the_validation_split_are_refused(tmp_path):
    with pytest.raises(UserError, match="folds of the whole training split"):
        planned(tmp_path, cross_validate=True, split="validation")


def test_the_spread_is_over_training_seeds_and_the_difference_paired():
    of_seeds = [folds_of(3.0), folds_of(5.0)]
    (row,) = of_folds(of_seeds, "trained")
    trained = [folds.rows[0].class_mean.mean for folds in of_seeds]
    bars = [folds.rows[2].class_mean.mean for folds in of_seeds]
    assert row.class_mean.of_seeds == pytest.approx(trained)
    assert row.class_mean.std == pytest.approx(abs(trained[1] - trained[0]) / np.sqrt(2))
    assert row.above_bar.of_seeds == pytest.approx(np.subtract(trained, bars))
    assert len(row.intervals) == 2
    (untrained,) = of_folds(of_seeds[:1], "untrained")
    assert untrained.above_bar is None
    assert untrained.class_mean.mean < row.class_mean.mean
    bar = bar_of_folds(of_seeds[0])
    assert (bar.representation, bar.class_mean.mean) == ("bps", pytest.approx(bars[0]))
    assert bar_of_folds(None) is None


def test_the_table_has_arms_and_the_bar():
    (row,) = of_folds([folds_of(3.0), folds_of(5.0)], "trained")
    bar = {"kind": "bps", "frames": None, "run": "a-seed0", "arms": ["a"], "rows": []}
    bar["folds"] = bar_of_folds(folds_of(3.0))
    told = format_report(summary_of(arm_of("a", folds=[row]), training_free=[bar]))
    table = told.partition("by repeated folds")[2]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| a", "| training-free: bps"]
    assert lines[2].count("; ") == 1
    assert "± standard deviation over training seeds" in told
    assert "folds" not in format_report(summary_of(arm_of("a")))
