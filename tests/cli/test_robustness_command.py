"""``robustness`` as a user meets it: the table, the report, the curves, and what it refuses."""

import json
import shutil

import pytest
import yaml
from matplotlib.image import imread

from helpers.tiny_runs import tiny_config, tiny_train, write_card
from pc_crvae.cli import main
from pc_crvae.data import load


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a card of 520 points a shape and a run of an epoch."""
    folder = tmp_path_factory.mktemp("trained")
    card = yaml.safe_load(write_card(folder).read_text()) | {"points": 520}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(card))
    tiny_train(tiny_config(folder, training={"epochs": 1}), folder / "run")
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run that a test may damage."""
    return shutil.copytree(trained / "run", tmp_path / "run")


@pytest.fixture(scope="module")
def reported(trained, tmp_path_factory):
    """The path of a whole report of one seed."""
    path = tmp_path_factory.mktemp("reported") / "whole.json"
    arguments = ["--ckpt", str(trained / "run"), "--seeds", "1", "--json", str(path)]
    arguments += ["--table", str(path.with_suffix(".csv")), "--figures", "png"]
    assert main(["robustness", *arguments]) == 0
    return path


def refused(capsys, *arguments):
    """The one sentence that ``robustness`` answers ``arguments`` with."""
    capsys.readouterr()
    assert main(["robustness", *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err


def test_the_report_holds_every_part_the_protocol_and_the_data(trained, reported):
    report = json.loads(reported.read_text())
    rows = report["rows"]
    turns = {(row["fitted_on"], row["condition"]) for row in rows if row["part"] == "rotation"}
    assert turns == {
        ("aligned", "aligned"),
        ("aligned", "z"),
        ("aligned", "so3"),
        ("z", "z"),
        ("z", "so3"),
        ("so3", "so3"),
    }
    assert len(rows) == 4 * (6 + 7 * 5 + 2 * 3 + 4)  # of 520 points: 64 to 512
    assert all(0 <= accuracy <= 1 for row in rows for accuracy in row["accuracies"])
    assert len(report["drift"]) == 2 * (2 + 7 * 5 + 2 * 3 + 4)
    assert report["protocol"]["points"] == 520
    assert report["protocol"]["seeds"] == [0]
    assert report["protocol"]["untrained"] == "calibrated"
    for split in ("train", "test"):
        assert load(trained / "tiny.yaml", split).fingerprint() == report["data"][split]["sha256"]
    assert report["trained_on"]["name"].endswith("tiny.yaml")
    for row in report["corruption_errors"]:
        if row["features"] == "untrained":
            assert row["mce_mean"] == pytest.approx(1)
    lines = reported.with_suffix(".csv").read_text().splitlines()
    assert lines[0].startswith("condition,trained posterior mean,")
    assert len(lines) == 1 + 6 + 7 * 5 + 2 * 3 + 4
    assert any(line.startswith("rotation aligned/SO(3),") for line in lines)
    picture = imread(reported.with_name("whole-curves.png"))
    assert picture.shape[0] > 300
    assert reported.with_name("whole-curves.png").stat().st_size < 300_000


def test_the_same_command_gives_the_same_numbers_and_a_report_can_be_the_reference(
    run, reported, tmp_path, capsys
):
    path = tmp_path / "again.json"
    arguments = ["--seeds", "1", "--json", str(path), "--reference", str(reported)]
    chosen = ["--parts", "corruption"]
    assert main(["robustness", "--ckpt", str(run), *arguments, *chosen]) == 0
    first, second = (json.loads(place.read_text()) for place in (reported, path))
    kept = [row for row in first["rows"] if row in second["rows"]]
    assert kept == second["rows"]
    for row in second["corruption_errors"]:
        assert row["reference"]["report"] == str(reported)
        if row["features"] == "trained":
            assert row["mce_mean"] == pytest.approx(1)
            assert row["ce"] == dict.fromkeys(row["ce"], pytest.approx(1))
    said = capsys.readouterr().out
    assert f"1 for the trained encoder of {reported}" in said
    assert "note: shapes of 520 points" in said


def test_rotations_alone_agree_with_the_probe(run, tmp_path):
    """The probe draws 32 points of each shape, as the model was trained with."""
    probed, measured = tmp_path / "probe.json", tmp_path / "rotation.json"
    shared = ["--ckpt", str(run), "--seeds", "2", "--json"]
    assert main(["probe", *shared, str(probed)]) == 0
    arguments = ["--parts", "rotation", "--points", "32"]
    assert main(["robustness", *shared, str(measured), *arguments]) == 0
    report = json.loads(probed.read_text())
    ours = json.loads(measured.read_text())["rows"]
    compared = 0
    for theirs in report["rows"] + report["extra_rows"]:
        if theirs["features"] == "training_free":
            continue  # which is beside a probe alone
        (row,) = (
            row
            for row in ours
            if (row["features"], row["representation"], row["condition"], row["fitted_on"])
            == (theirs["features"], theirs["representation"], theirs["setting"], "aligned")
        )
        assert row["accuracies"] == theirs["accuracies"]
        compared += 1
    assert compared == 12
    assert not measured.with_name("rotation-curves.png").exists()


def test_a_wrong_argument_is_refused_in_one_sentence(run, tmp_path, reported, capsys):
    small = ["--parts", "points", "--seeds", "1"]
    for arguments, sentence in [
        (["--parts", "points", "--data-root", "nowhere"], "leave out data.root"),
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--points", "500"], "leave the corruptions out"),
        (["--points", "521", *small], "has 520 points a cloud"),
        (["--point-counts", "64", "1024"], "fewer than the 1,024 of the part points"),
        (["--point-counts", "0", *small], "fewer than 1 point"),
        (["--point-counts", "64", "64", *small], "distinct"),
        (["--reference", tmp_path / "none.json"], "cannot read"),
        (["--reference", reported, "--parts", "points"], "--reference is for the corruptions"),
        (["--reference", reported, "--seeds", "2"], "measured with other seeds"),
        (["--reference", reported, "--points", "510"], "measured with other points"),
        (["--reference", reported, "--up", "x", "--seeds", "1"], "measured other test shapes"),
    ]:
        assert sentence in refused(capsys, "--ckpt", run, *arguments)
    assert not (run / "robustness.json").exists()


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"rows": [{"features": "trained"}]}'])
def test_a_reference_that_is_no_report_is_refused(run, tmp_path, capsys, text):
    (tmp_path / "other.json").write_text(text)
    said = refused(capsys, "--ckpt", run, "--reference", tmp_path / "other.json")
    assert "other.json is damaged, or of another version" in said


def test_a_reference_without_its_data_or_without_corruptions_is_refused(
    run, reported, tmp_path, capsys
):
    report = json.loads(reported.read_text())
    rows = [row for row in report["rows"] if row["part"] != "corruption"]
    for changes, sentence in [
        ({"data": {"train": report["data"]["train"]}}, "is damaged, or of another version"),
        ({"protocol": {}}, "is damaged, or of another version"),
        ({"rows": rows}, "has no corruptions, whose errors are measured against"),
    ]:
        (tmp_path / "other.json").write_text(json.dumps(report | changes))
        assert sentence in refused(capsys, "--ckpt", run, "--reference", tmp_path / "other.json")


def test_an_interrupted_run_leaves_nothing_behind(run, monkeypatch, capsys):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("pc_crvae.evaluation.robustness.conditions.apply_condition", stop)
    before = sorted(run.iterdir())
    assert main(["robustness", "--ckpt", str(run), "--parts", "points", "--seeds", "1"]) == 130
    assert sorted(run.iterdir()) == before
    assert "interrupted" in capsys.readouterr().err
