"""``study`` as a user meets it: runs, a summary, a report, and going on after a stop."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from helpers.tiny_runs import write_card
from pc_crvae.cli import main
from pc_crvae.evaluation.probe.protocol import PROTOCOL_FOLDER
from pc_crvae.utils.resources import resource_folder

TOOL = Path(__file__).parents[2] / "tools" / "study.py"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The tiny study on a card of 60 + 40 shapes, and one arm that fails."""
    folder = tmp_path_factory.mktemp("study")
    values = yaml.safe_load((resource_folder("configs") / "studies" / "tiny.yaml").read_text())
    values["overrides"] += [
        f"data.name={write_card(folder)}",
        "data.points=32",
        "training.batch_size=8",
    ]
    values["seeds"] = [0]
    values["measures"] = {"generation": {"count": 4, "arms": ["cr"]}}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def stripped(run):
    """What a run recorded, but for its speed."""
    lines = [json.loads(text) for text in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "items_per_second"} for line in lines]


@pytest.mark.slow
def test_a_study_killed_in_the_middle_goes_on_to_the_same_results(study, tmp_path, capsys):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(["study", str(study), "--out", str(whole), "--workers", "1"]) == 0
    command = [sys.executable, str(TOOL), str(study), "--out", str(killed), "--workers", "1"]
    process = subprocess.Popen(command, start_new_session=True)
    while not list(killed.glob("*/checkpoints/step-*/state.pt")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    capsys.readouterr()

    assert main(["study", str(study), "--out", str(killed), "--workers", "1"]) == 0
    for run in ("vae-seed0", "cr-seed0"):
        assert stripped(killed / run) == stripped(whole / run)
        weights = [out / run / "model.safetensors" for out in (whole, killed)]
        assert weights[0].read_bytes() == weights[1].read_bytes()
    summaries = [json.loads((out / "summary.json").read_text()) for out in (whole, killed)]
    assert summaries[0]["differences"] == summaries[1]["differences"]
    rows = [[arm["rows"] for arm in summary["arms"]] for summary in summaries]
    assert rows[0] == rows[1]
    probe = json.loads((whole / "cr-seed0" / "probe.json").read_text())
    arm = summaries[0]["arms"][2]
    assert arm["rows"][0]["mean"] == pytest.approx(probe["rows"][0]["accuracy_mean"])
    measured = [list(arm["measured"]) for arm in summaries[0]["arms"]]
    assert measured == [[], [], ["generation"]]
    quality = json.loads((whole / "cr-seed0" / "generation.json").read_text())
    assert quality["protocol"]["count"] == 4
    assert arm["measured"]["generation"]["kl"]["mean"] == quality["latents"]["kl"]
    assert not (whole / "vae-seed0" / "generation.json").exists()

    before = (whole / "cr-seed0" / "probe.json").stat().st_mtime_ns
    capsys.readouterr()
    assert main(["study", str(study), "--out", str(whole)]) == 0
    assert "2 of 2 runs are complete already" in capsys.readouterr().out
    assert (whole / "cr-seed0" / "probe.json").stat().st_mtime_ns == before

    report = tmp_path / "results.md"
    assert main(["study", str(study), "--out", str(whole), "--report", str(report)]) == 0
    text = report.read_text()
    assert "2 of 2 runs are complete" in text
    assert "60 train" in text
    assert "40 test" in text
    assert f"| {100 * arm['rows'][0]['mean']:.1f} |" in text
    for picture in ("study-accuracy.png", "study-curves.png"):
        assert f"({picture})" in text
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")

    shutil.rmtree(whole / "vae-seed0")
    (whole / "vae-seed0").mkdir()
    (whole / "vae-seed0" / "thesis.txt").write_text("dear")
    assert main(["study", str(study), "--out", str(whole)]) == 2
    assert "is in the way and is no run" in capsys.readouterr().err
    assert (whole / "vae-seed0" / "thesis.txt").read_text() == "dear"


@pytest.mark.slow
def test_runs_of_images_are_evaluated_and_compared(tmp_path, capsys):
    values = {
        "title": "digits",
        "config": "digits.yaml",
        "overrides": ["training.epochs=1", "logging.tensorboard=false"],
        "seeds": [0, 1],
        "probe": None,
        "evaluation": {"split": "validation", "samples": 4, "items": 20, "train_items": 200},
        "arms": {"aug": {"overrides": ["consistency.weight=0.0"]}, "cr": {}},
        "compare": [["cr", "aug"]],
    }
    path, out = tmp_path / "images.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(values))
    assert main(["study", str(path), "--out", str(out), "--workers", "2"]) == 0
    summary = json.loads((out / "summary.json").read_text())
    evaluated = json.loads((out / "cr-seed1" / "evaluation-validation.json").read_text())
    cr = summary["arms"][1]["figures"]
    assert cr["nll"]["of_seeds"][1] == evaluated["nll"]["mean"]
    of_nll = next(row for row in summary["figure_differences"] if row["figure"] == "nll")
    aug = summary["arms"][0]["figures"]["nll"]["of_seeds"]
    assert of_nll["of_seeds"] == pytest.approx(np.subtract(cr["nll"]["of_seeds"], aug))

    # Nothing is done twice; another number of images is evaluated anew, not trained anew.
    trained = (out / "cr-seed1" / "model.safetensors").stat().st_mtime_ns
    values["evaluation"]["items"] = 21
    path.write_text(yaml.safe_dump(values))
    assert main(["study", str(path), "--out", str(out), "--workers", "2"]) == 0
    again = json.loads((out / "cr-seed1" / "evaluation-validation.json").read_text())
    assert again["protocol"]["evaluated_items"] == 21
    assert (out / "cr-seed1" / "model.safetensors").stat().st_mtime_ns == trained

    # A file that keeps a place for it keeps the rest of its text.
    report = tmp_path / "results.md"
    report.write_text("before\n<!-- study images -->\nold\n<!-- end of images -->\nafter\n")
    for _ in range(2):
        assert main(["study", str(path), "--out", str(out), "--report", str(report)]) == 0
        text = report.read_text()
        assert text.startswith("before\n<!-- study images -->\n## digits\n")
        assert text.endswith("<!-- end of images -->\nafter\n")
        assert text.count("## digits") == 1
        assert "old" not in text
    assert " split 21 are evaluated" in text
    assert "| cr - aug |" in text
    assert "(images-figures.png)" in text
    assert (tmp_path / "images-figures.png").read_bytes().startswith(b"\x89PNG")
    table = ["--table", str(tmp_path / "study.tex"), "--figures", "pdf"]
    assert main(["study", str(path), "--out", str(out), "--report", str(report), *table]) == 0
    assert (tmp_path / "images-figures.pdf").read_bytes().startswith(b"%PDF")
    assert r"\toprule" in (tmp_path / "study.tex").read_text()
    report.write_text("my thesis")
    assert main(["study", str(path), "--out", str(out), "--report", str(report)]) == 2
    assert "is another text, without the lines" in capsys.readouterr().err
    assert report.read_text() == "my thesis"
    report.write_text("<!-- study images -->")
    assert main(["study", str(path), "--out", str(out), "--report", str(report)]) == 2
    assert "has only one of" in capsys.readouterr().err
    assert report.read_text() == "<!-- study images -->"
    capsys.readouterr()


@pytest.mark.slow
def test_a_study_of_the_validation_split_never_scores_the_test_split(study, tmp_path, capsys):
    values = yaml.safe_load(study.read_text())
    del values["measures"]
    values["overrides"].append("data.validation_fraction=0.4")
    protocol = yaml.safe_load((PROTOCOL_FOLDER / "ours.yaml").read_text())
    protocol |= {"name": "one-c", "classifier": {"name": "linear_svm", "c": [0.01]}}
    (tmp_path / "one-c.yaml").write_text(yaml.safe_dump(protocol))  # two items a class are left
    values["probe"] = {"split": "validation", "seeds": 1}
    values["probe"]["protocol"] = str(tmp_path / "one-c.yaml")
    values["arms"] = {"cr": {}, "untrained": {"untrained_of": "cr"}}
    values["compare"] = [["cr", "untrained"]]
    path, out = tmp_path / "sweep.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    assert main(["study", str(path), "--out", str(out), "--workers", "1"]) == 0
    assert not (out / "cr-seed0" / "probe.json").exists()
    probe = json.loads((out / "cr-seed0" / "probe-validation.json").read_text())
    splits = {side: (of["split"], of["count"]) for side, of in probe["data"].items()}
    assert splits["test"][0] == "validation"
    assert splits["train"][1] + splits["test"][1] == 60  # all of train, nothing of test
    (cut,) = json.loads((out / "summary.json").read_text())["data"]
    assert cut["scored_split"] == "validation"
    assert "Accuracy on the validation split" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_fails_is_told_of_and_the_others_go_on(study, tmp_path, capsys):
    values = yaml.safe_load(study.read_text())
    del values["measures"]
    values["arms"] = {"bad": {"overrides": ["training.batch_size=64"]}, "good": {}}
    values["compare"] = []
    path = tmp_path / "failing.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    out = tmp_path / "out"
    assert main(["study", str(path), "--out", str(out), "--workers", "1"]) == 2
    said = capsys.readouterr()
    assert "1 of 2 runs failed, bad-seed0" in said.err
    runs = {run["arm"]: run for run in json.loads((out / "summary.json").read_text())["runs"]}
    assert "fewer than training.batch_size 64" in runs["bad"]["error"]
    assert runs["good"]["status"] == "complete"


@pytest.mark.parametrize(
    ("measures", "sentence"),
    [
        ({"generation": {"count": 41}}, "measures.generation.count is 41, and the test split"),
        ({"robustness": {"points": 1024}}, "measures.robustness.points is 1,024, and the test"),
        ({"robustness": {"points": 40}}, "the corruptions leave out up to 500 points"),
    ],
)
def test_measures_that_the_data_is_too_small_for_are_refused_before_anything_starts(
    study, tmp_path, capsys, measures, sentence
):
    values = yaml.safe_load(study.read_text()) | {"measures": measures}
    path = tmp_path / "measured.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    assert main(["study", str(path), "--out", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_evaluation_of_a_model_of_points_is_refused_before_anything_starts(
    study, tmp_path, capsys
):
    values = yaml.safe_load(study.read_text()) | {"evaluation": {}}
    path = tmp_path / "points.yaml"
    path.write_text(yaml.safe_dump(values))
    assert main(["study", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "is a model of points, and evaluation needs images" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--workers", "0"], "--workers must be at least 1, not 0"),
        (["--report", "x.html"], "--report x.html must end in .md"),
        (["--report", "x.md"], "no run of"),
    ],
)
def test_a_wrong_option_is_refused(study, tmp_path, capsys, options, sentence):
    assert main(["study", str(study), "--out", str(tmp_path / "out"), *options]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="flock is not known there")
def test_two_at_work_on_one_study_are_refused(study, tmp_path, capsys):
    import fcntl

    out = tmp_path / "out"
    out.mkdir()
    descriptor = os.open(out / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert main(["study", str(study), "--out", str(out)]) == 2
    assert "another process is at work on the study" in capsys.readouterr().err
    os.close(descriptor)
