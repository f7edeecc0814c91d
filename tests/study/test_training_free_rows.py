"""A study makes a training-free row once for all runs whose bar it is, and shows it as a row."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from helpers.probe_reports import report_of, store_probe
from helpers.study_summaries import arm_of, summary_of
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.comparison import read_probe
from pc_crvae.evaluation.probe.predictions import predictions_path
from pc_crvae.evaluation.probe.training_free import TrainingFree
from pc_crvae.study import feasibility, steps
from pc_crvae.study.markdown import format_report
from pc_crvae.study.plan import plan_runs
from pc_crvae.study.schema import load_study
from pc_crvae.study.steps import remaining_steps
from pc_crvae.study.training_free import training_free_rows

SETS = "mixture: [{name: shapes, share: 0.5}, {name: programs, share: 0.5}]"
CHOSEN = TrainingFree(chosen="bps", candidates=(), frames="z", choice="")


def planned(folder, **changes):
    values = {
        "title": "a study",
        "config": "quickstart.yaml",
        "seeds": [0, 1],
        "arms": {
            "plain": {"overrides": ["consistency=null"]},
            "framed": {"overrides": ["model.frames=z"]},
            "cr": {},
        },
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values | changes, sort_keys=False))
    study = load_study(path)
    return study, plan_runs(study, path, folder / "out")


def probe_command(run, study):
    (step,) = [s for s in remaining_steps(run, study, Path("c.yaml")) if s.name == "probe"]
    return step.command


def test_the_first_run_of_each_frames_makes_the_row_for_the_others(tmp_path):
    study, runs = planned(tmp_path)
    assert [run.name for run in runs if run.makes_bar] == ["plain-seed0", "framed-seed0"]
    for run in runs:
        assert ("--no-training-free" in probe_command(run, study)) is not run.makes_bar


def test_on_the_validation_split_each_seed_has_a_row_of_its_own(tmp_path):
    study, runs = planned(tmp_path, probe={"split": "validation"})
    assert [run.name for run in runs if not run.makes_bar] == ["cr-seed0", "cr-seed1"]
    assert "--no-training-free" in probe_command(runs[2], study)


def test_runs_are_probed_on_the_set_that_the_study_names(tmp_path):
    arms = {"mixed": {"overrides": [f"data={{{SETS}, points: 256}}"]}, "plain": {}}
    study, runs = planned(tmp_path, arms=arms, probe={"data": "modelnet10", "data_root": "there"})
    for run in runs:
        command = probe_command(run, study)
        place = command.index("--data")
        assert command[place : place + 4] == ("--data", "modelnet10", "--data-root", "there")
    # On one set, models trained on different ones have one bar.
    assert [run.name for run in runs if run.makes_bar] == ["mixed-seed0"]


def test_an_arm_of_a_mixture_needs_a_set_to_be_probed_on(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(feasibility, "load_splits", lambda config: None)
    monkeypatch.setattr(feasibility, "load", lambda *what, root: loaded.append((*what, root)))
    arms = {"mixed": {"overrides": [f"data={{{SETS}, points: 64, items_per_epoch: 40}}"]}}
    study, runs = planned(tmp_path, arms=arms)
    with pytest.raises(UserError, match=r"arm mixed trains on a mixture.*in probe\.data"):
        feasibility.check_feasible(study, runs)
    assert not loaded
    study, runs = planned(tmp_path, arms=arms, probe={"data": "shapes", "data_root": "there"})
    feasibility.check_feasible(study, runs)
    assert loaded == [("shapes", "test", Path("there"))]


@pytest.mark.parametrize(
    ("probe", "sentence"),
    [
        ({"split": "validation", "data": "shapes"}, "leave one of them out"),
        ({"data_root": "there"}, "name the set"),
    ],
)
def test_what_cannot_be_probed_is_refused(tmp_path, probe, sentence):
    with pytest.raises(UserError, match=sentence):
        planned(tmp_path, probe=probe)


def store(run, training_free):
    path = run.folder / "probe.json"
    path.parent.mkdir(parents=True)
    predicted = {
        "trained.posterior_mean.aligned": [[0, 0, 0, 1], [0, 1, 0, 1]],
        "untrained.posterior_mean.aligned": [[0, 0, 0, 0], [0, 0, 0, 0]],
    }
    if training_free is not None:
        predicted["training_free.bps.aligned"] = [[0, 1, 0, 1], [0, 1, 0, 0]]
    arrays = {name: np.array(rows) for name, rows in predicted.items()}
    predictions = store_probe(path, arrays, [0, 1, 0, 1])
    report_of(predictions).model_copy(update={"training_free": training_free}).write(path)
    assert predictions_path(path).is_file()
    return read_probe(path)


def test_the_row_is_read_off_the_probe_that_made_it(tmp_path):
    study, runs = planned(tmp_path)
    probes = {run.name: store(run, CHOSEN if run.makes_bar else None) for run in runs[:3]}
    first, second = training_free_rows(study, runs, probes)
    assert (first.kind, first.run, first.arms) == ("bps", "plain-seed0", ("plain", "cr"))
    assert (second.run, second.arms) == ("framed-seed0", ("framed",))
    (row,) = first.rows
    assert (row.setting, row.mean, row.of_seeds) == ("aligned", 0.875, (1.0, 0.75))
    assert row.spread_over == "probe seeds"
    assert training_free_rows(study, runs, {"cr-seed0": probes["cr-seed0"]}) == ()


def test_a_probe_without_the_row_that_it_should_make_is_made_again(tmp_path, monkeypatch):
    study, runs = planned(tmp_path)
    monkeypatch.setattr(steps, "is_of_weights", lambda *_: True)
    for run in runs[:3]:
        store(run, None)
    probed = [steps._is_probed(run, study.probe) for run in runs[:3]]
    assert probed == [not run.makes_bar for run in runs[:3]] == [False, False, True]


def test_the_table_shows_it_below_the_arms():
    rows = [{"representation": "posterior_mean", "setting": "aligned", "mean": 0.9, "std": 0.01}]
    rows[0] |= {"of_seeds": [0.89, 0.91], "spread_over": "training seeds"}
    bar = {"kind": "bps", "frames": "z", "run": "a-seed0", "arms": ["a"], "rows": rows}
    told = format_report(summary_of(arm_of("a", rows=rows), training_free=[bar]))
    lines = [line for line in told.splitlines() if line.startswith("| ")]
    assert lines[-1] == "| training-free: bps in frames z | 90.0 ± 1.0 | of the probe |"
    assert lines[-2].startswith("| a | 90.0 ± 1.0 |")
