"""``probe --features`` as a user meets it: anyone's arrays, without a model."""

import json

import numpy as np
import pytest

from helpers.refusals import refused
from pc_crvae.cli import main


@pytest.fixture
def features(tmp_path):
    """Two files of features, and how to write others beside them."""

    def write(name, **arrays):
        np.savez(tmp_path / f"{name}.npz", **arrays)
        return tmp_path / f"{name}.npz"

    rng = np.random.default_rng(0)
    for name, per_class in (("train", 20), ("test", 10)):
        labels = np.repeat(["bed", "chair", "sofa"], per_class)
        centres = np.repeat(3 * np.eye(3, 4), per_class, axis=0)
        write(name, features=centres + rng.normal(size=(len(labels), 4)), labels=labels)
    return write


def test_features_of_anyone_are_probed_without_a_model(features, tmp_path, capsys):
    given = [str(tmp_path / "train.npz"), str(tmp_path / "test.npz")]
    arguments = ["probe", "--features", *given, "--json", str(tmp_path / "r.json")]
    assert main(arguments) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    (row,) = report["rows"]
    assert (row["features"], row["representation"]) == ("given", "features")
    assert row["accuracy_mean"] > 0.8
    assert report["confusion"]["classes"] == ["bed", "chair", "sofa"]
    assert report["files"] == {"train": given[0], "test": given[1]}
    assert (tmp_path / "r-predictions.npz").is_file()

    before = set(tmp_path.iterdir())
    assert main(["probe", "--features", *given, "--seeds", "1"]) == 0
    assert "given features" in capsys.readouterr().out
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"features": np.zeros((3, 2))}, "holds no array labels, only features"),
        ({"features": np.array([{}, {}]), "labels": np.arange(2)}, "array of Python objects"),
        ({"features": np.zeros(3), "labels": np.arange(3)}, "they should be (n, d)"),
    ],
)
def test_files_that_hold_no_features_are_refused(features, tmp_path, capsys, arrays, sentence):
    wrong = features("wrong", **arrays)
    for pair in ((wrong, tmp_path / "test.npz"), (tmp_path / "train.npz", wrong)):
        assert sentence in refused(capsys, "probe", "--features", *pair)


def test_a_file_that_is_no_archive_or_missing_is_refused(features, tmp_path, capsys):
    (tmp_path / "text.npz").write_text("features")
    cut = tmp_path / "cut.npz"
    cut.write_bytes((tmp_path / "test.npz").read_bytes()[:200])
    test = tmp_path / "test.npz"
    assert "is not a whole .npz file" in refused(
        capsys, "probe", "--features", tmp_path / "text.npz", test
    )
    assert "is not a whole .npz file" in refused(capsys, "probe", "--features", cut, test)
    assert "none.npz is missing" in refused(
        capsys, "probe", "--features", tmp_path / "none.npz", test
    )


def test_a_model_and_features_exclude_each_other(features, run, tmp_path, capsys):
    given = ["--features", tmp_path / "train.npz", tmp_path / "test.npz"]
    assert "not both" in refused(capsys, "probe", "--ckpt", run, *given)
    assert "give either --ckpt" in refused(capsys, "probe")
    assert "--data needs a model, and" in refused(capsys, "probe", *given, "--data", "shapes")
    said = refused(capsys, "probe", *given, "--untrained", "initial")
    assert "--untrained needs a model, and --features has none" in said
