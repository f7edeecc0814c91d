"""``generation`` as a user meets it: the report, the picture, and what it refuses."""

import json

import pytest
import torch

from helpers.refusals import refused
from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.cli import main
from pc_crvae.data import load
from pc_crvae.models.points.vae import PointVAE


def measured(run, path, *arguments):
    assert main(["generation", "--ckpt", str(run), "--json", str(path), *arguments]) == 0
    return json.loads(path.read_text())


def test_the_report_holds_every_measure_and_its_protocol(trained, tmp_path, capsys):
    report = measured(trained / "run", tmp_path / "whole.json", "--baseline")
    assert report["reconstruction"].keys() == {
        "chamfer_squared_sum",
        "chamfer_mean",
        "chamfer_max",
        "f_score",
        "emd",
    }
    assert report["generation"].keys() == {"samples", "training_shapes"}
    for metrics in report["generation"].values():
        assert (metrics["samples"], metrics["references"], metrics["points"]) == (40, 40, 16)
    # Real shapes are nearer to real shapes than what an epoch's model makes.
    mmd = {name: metrics["cd"]["mmd"] for name, metrics in report["generation"].items()}
    assert mmd["training_shapes"] < mmd["samples"]
    latents = report["latents"]
    assert latents["items"] == 40
    assert len(latents["kl_per_dimension"]) == latents["dimensions"] == 4
    assert sum(latents["kl_per_dimension"]) == pytest.approx(latents["kl"])
    assert 0 <= latents["active_units"] <= 4
    assert latents["mutual_information"]["rate"] == pytest.approx(latents["kl"])
    for split in ("train", "test"):
        assert load(trained / "tiny.yaml", split).fingerprint() == report["data"][split]["sha256"]
    assert "not normalised again" in report["protocol"]["normalization"]
    assert (tmp_path / "whole-shapes.png").stat().st_size < 300_000
    said = capsys.readouterr().out
    for words in ("1-NNA", "active units", "mutual information", "log N", "training shapes"):
        assert words in said


def test_the_table_has_the_figures_of_the_report_and_the_protocol_in_words(trained, tmp_path):
    table, options = tmp_path / "table.md", ["--count", "5", "--baseline"]
    report = measured(trained / "run", tmp_path / "r.json", *options, "--table", str(table))
    lines = table.read_text(encoding="utf-8").splitlines()
    rows = {cells[1].strip(): cells[2:4] for cells in (line.split("|") for line in lines[:-2])}
    assert rows["figure"] == [" model ", " training shapes "]
    mmd = [f" {found['emd']['mmd']:.5f} " for found in report["generation"].values()]
    assert rows["MMD-EMD"] == mmd
    assert rows["reconstruction, EMD (radii)"] == [f" {report['reconstruction']['emd']:.5f} ", "  "]
    assert rows["active units, of 4"][0] == f" {report['latents']['active_units']} "
    assert "5 draws of the prior and as many training shapes are compared with 5" in lines[-1]
    assert lines[-1].endswith("Seed 0.")


def test_the_same_command_gives_the_same_numbers_and_another_seed_others(trained, tmp_path):
    options = ["--count", "5"]
    one, two, other = (
        measured(trained / "run", tmp_path / f"{name}.json", *options, "--seed", seed)
        for name, seed in (("one", "0"), ("two", "0"), ("other", "1"))
    )
    assert one == two
    assert one["generation"] != other["generation"]
    assert one["reconstruction"] != other["reconstruction"]
    assert one["generation"]["samples"]["references"] == 5


def test_an_auto_encoder_has_reconstructions_and_no_samples(trained, tmp_path, capsys):
    config = tiny_config(
        trained, training={"epochs": 1}, objective={"name": "autoencoder"}, consistency=None
    )
    tiny_train(config, tmp_path / "run")
    table = tmp_path / "code.csv"
    report = measured(tmp_path / "run", tmp_path / "code.json", "--table", str(table))
    assert table.read_text().startswith("figure,model\n")
    assert "MMD" not in table.read_text()
    assert report["reconstruction"]["f_score"] >= 0
    assert "no prior" in report["generation"]["note"]
    assert "kl" not in report["latents"]
    assert "no prior to draw from" in capsys.readouterr().out


def test_a_wrong_argument_is_refused_in_one_sentence(trained, capsys):
    for arguments, sentence in [
        (["--count", "41"], "has 40 shapes, fewer than the 41"),
        (["--count", "1"], "count must be at least 2"),
        (["--points", "0"], "--points must be at least 1"),
        (["--table", "table.xlsx"], "must end in .md, .csv or .tex"),
        (["--workers", "0"], "--workers must be at least 1"),
    ]:
        assert sentence in refused(capsys, "generation", "--ckpt", trained / "run", *arguments)
    assert not (trained / "run" / "generation.json").exists()


def test_weights_that_diverged_are_said(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        PointVAE, "sample", lambda self, count, seed: torch.full((count, 16, 3), torch.nan)
    )
    path = tmp_path / "none.json"
    said = refused(capsys, "generation", "--ckpt", trained / "run", "--json", path)
    assert "samples hold NaN" in said
    assert not path.exists()
