"""``evaluate`` as a user meets it: the report, the pictures, and what it refuses."""

import json
import math

import pytest
from matplotlib.image import imread

from helpers.refusals import refused
from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.cli import main
from pc_crvae.config import NVAEModelConfig
from pc_crvae.data import load
from pc_crvae.evaluation.images import run as evaluation_run
from pc_crvae.models.exports import write_export
from pc_crvae.models.images.nvae.pretrained import PretrainedNVAE

CONFIG = """
data: {name: digits}
model:
  name: image_vae
  encoder: {name: mlp, widths: [16]}
  latent_dim: 4
  decoder: {name: mlp, widths: [16]}
  likelihood: {name: bernoulli}
consistency: {weight: 1.0, transforms: [{name: published, strength: large}]}
training: {epochs: 1, batch_size: 64, device: cpu}
logging: {tensorboard: false, pictures_every_epochs: 0, probe_every_epochs: 0}
"""
QUICK = ("--samples", "2", "--items", "20", "--train-items", "100")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of an epoch on the digits."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(CONFIG)
    assert main(["train", str(folder / "tiny.yaml"), "--out", str(folder / "run")]) == 0
    return folder / "run"


def evaluated(run, path, *arguments):
    assert main(["evaluate", "--ckpt", str(run), "--json", str(path), *QUICK, *arguments]) == 0
    return json.loads(path.read_text())


def test_the_report_names_each_figure_and_pictures_lie_beside_it(run, tmp_path, capsys):
    report = evaluated(run, tmp_path / "whole.json", "--table", str(tmp_path / "t.md"))
    assert f"| NLL | {report['nll']['mean']:.3f} |" in (tmp_path / "t.md").read_text()
    for name in ("nll", "elbo", "rate", "distortion", "consistency_kl"):
        assert {"mean", "stderr"} <= report[name].keys()
    assert {"estimate", "log_n", "saturated"} <= report["mutual_information"].keys()
    assert 0 <= report["active_units"] <= report["dimensions"] == 4
    assert report["protocol"]["seed"] == 0
    assert report["protocol"]["transform_from"] == "the run's own"
    assert "30.0" in report["protocol"]["transform"]  # the large ranges it was trained with
    assert report["data"]["test"]["sha256"] == load("digits", "test").fingerprint()
    assert report["data"]["train"]["sha256"] == load("digits", "train").fingerprint()
    said = capsys.readouterr().out
    for words in ("NLL", "active units", "log N", "linear svm", "20 images of the test split"):
        assert words in said
    # Grey, drawn and reconstructed; magnified sevenfold, with gaps of two pixels.
    assert imread(tmp_path / "whole-reconstructions.png").shape[:2] == (3 * 58 - 2, 10 * 58 - 2)
    assert imread(tmp_path / "whole-samples.png").shape[:2] == (6 * 58 - 2, 10 * 58 - 2)
    assert imread(tmp_path / "whole-traversals.png").shape[:2] == (4 * 58 - 2, 10 * 58 - 2)
    assert imread(tmp_path / "whole-interpolations.png").shape[:2] == (6 * 58 - 2, 10 * 58 - 2)


def test_the_validation_split_is_what_training_held_out(run, tmp_path):
    report = evaluated(run, tmp_path / "validation.json", "--split", "validation")
    held_out, training = report["data"]["validation"], report["data"]["train"]
    assert held_out["count"] + training["count"] == 1438
    assert report["trained_on"]["validation_sha256"] == held_out["sha256"]
    assert report["trained_on"]["train_sha256"] == training["sha256"]


def test_an_export_without_its_run_takes_the_preset_and_has_no_validation_split(
    run, tmp_path, capsys
):
    export = tmp_path / "export"
    export.mkdir()
    for name in ("config.json", "model.safetensors"):
        (export / name).write_bytes((run / name).read_bytes())
    report = evaluated(export, tmp_path / "export.json")
    assert "preset published small" in report["protocol"]["transform_from"]
    assert "15.0" in report["protocol"]["transform"]
    assert "lies in no run" in refused(
        capsys, "evaluate", "--ckpt", export, "--split", "validation"
    )


def test_a_wrong_argument_is_refused_in_one_sentence(run, tmp_path, capsys):
    for arguments, sentence in [
        (["--samples", "0"], "samples must be at least 1"),
        (["--items", "360"], "has 359 images, fewer than the 360"),
        (["--items", "1"], "items must be at least 2"),
    ]:
        assert sentence in refused(capsys, "evaluate", "--ckpt", run, *arguments)
    assert not (run / "evaluation.json").exists()


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    run, tmp_path, capsys, monkeypatch
):
    (tmp_path / "file").touch()
    (tmp_path / "folder.json").mkdir()
    monkeypatch.setattr(evaluation_run, "evaluate_images", None)  # what calls it fails
    for path, reason in [
        (tmp_path / "file" / "new" / "a.json", "Not a directory"),
        (tmp_path / "folder.json", "Is a directory"),
    ]:
        said = refused(capsys, "evaluate", "--ckpt", run, "--json", path)
        assert f"could not write {path}: {reason}" in said


def test_a_hierarchy_is_evaluated_and_pictured(tmp_path, capsys):
    values = {"name": "nvae", "initial_channels": 2, "groups_per_scale": [1, 1]}
    model = PretrainedNVAE(
        NVAEModelConfig.model_validate(values, strict=False),
        shape=(1, 8, 8),
        data={"name": "digits"},
    )
    write_export(model, tmp_path / "export")
    report = evaluated(tmp_path / "export", tmp_path / "nvae.json", "--samples", "1")
    assert report["mutual_information"] is None
    found = report["mutual_information_top_group"]
    assert found["log_n"] == pytest.approx(math.log(359))  # of all images, not of --items alone
    assert report["protocol"]["device"]
    said = capsys.readouterr().out
    assert "MI, top group alone" in said
    assert "mutual information  " not in said
    for name in ("reconstructions", "samples", "interpolations"):
        assert (tmp_path / f"nvae-{name}.png").is_file()
    # The eight strongest dimensions of the top group.
    assert imread(tmp_path / "nvae-traversals.png").shape[:2] == (8 * 58 - 2, 10 * 58 - 2)


def test_help_is_of_images(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "--data-root" in said
    assert "--up" not in said
    assert "in nats per image" in said
    assert "standard error" in said


def test_images_of_another_shape_are_refused_by_every_command(run, tmp_path, capsys):
    from helpers.tiny_images import write_mnist

    write_mnist(tmp_path / "mnist")
    given = ["--ckpt", str(run), "--data", "mnist", "--data-root", str(tmp_path / "mnist")]
    for command in ("evaluate", "probe"):
        assert main([command, *given]) == 2
        said = capsys.readouterr().err
        assert "images of mnist are 1 x 28 x 28" in said
        assert "a model of images of 1 x 8 x 8" in said


def test_a_model_of_points_is_referred_to_its_own_commands(tmp_path, capsys):
    tiny_train(tiny_config(tmp_path, training={"epochs": 1}), tmp_path / "run")
    capsys.readouterr()
    said = refused(capsys, "evaluate", "--ckpt", tmp_path / "run")
    assert "pc-crvae generation" in said
