"""``descriptor`` as a user meets it: what it writes, what goes on from there, what it refuses."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from helpers.tiny_runs import tiny_config, tiny_train, write_card
from pc_crvae.cli import main
from pc_crvae.data import load_clouds
from pc_crvae.embedding.index import load_embeddings
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.exports import WEIGHTS
from pc_crvae.runs.saved import read_model

QUICK = (
    "name: quick\nrepresentations: [mean, pooled]\nsettings: [aligned, so3]\n"
    "classifier: {name: svc_linear, c: [1.0]}\nseeds: [0]\nretrieval: true\n"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a card, a protocol, a descriptor of it, and shapes of one's own."""
    folder = tmp_path_factory.mktemp("made")
    card = write_card(folder)
    (folder / "quick.yaml").write_text(QUICK)
    arguments = ["descriptor", "bps+octants", "--data", str(card), "--frames", "so3"]
    assert main([*arguments, "--out", str(folder / "model")]) == 0
    (folder / "shapes").mkdir()
    for row in range(3):
        box = trimesh.creation.box(extents=(1, 1 + row / 9, 2))
        box.export(folder / "shapes" / f"box{row}.off")
        rod = trimesh.creation.cylinder(radius=0.1 + row / 99, height=2)
        rod.export(folder / "shapes" / f"rod{row}.off")
    return folder


def refused(capsys, *arguments):
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    return said


def test_the_model_says_what_it_is_and_was_fitted_to(made):
    model = read_model(made / "model")
    assert isinstance(model, Descriptor)
    assert (model.kind, model.frames, model.points) == ("bps+octants", "so3", 64)
    assert model.data == {"name": str(made / "tiny.yaml"), "up": None}


def test_it_is_fitted_to_the_training_split_alone_and_without_labels(made, tmp_path, monkeypatch):
    asked = []

    def load_training(name, split, **options):
        asked.append(split)
        return replace(load_clouds(name, split, **options), labels=None)

    monkeypatch.setattr("pc_crvae.data.load_clouds", load_training)
    arguments = ["--data", str(made / "tiny.yaml"), "--frames", "so3"]
    assert main(["descriptor", "bps+octants", *arguments, "--out", str(tmp_path / "again")]) == 0
    assert asked == ["train"]
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (made / "model" / WEIGHTS).read_bytes()


def test_its_probe_shows_its_row_alone_which_is_compared(made, tmp_path, capsys):
    report = tmp_path / "probe.json"
    arguments = ["--ckpt", str(made / "model"), "--protocol", str(made / "quick.yaml")]
    assert main(["probe", *arguments, "--json", str(report)]) == 0
    assert "given features" in capsys.readouterr().out
    found = json.loads(report.read_text())
    rows = {(row["features"], row["representation"], row["setting"]) for row in found["rows"]}
    assert rows == {("given", "features", "aligned"), ("given", "features", "so3")}
    aligned, rotated = (row["accuracy_mean"] for row in found["rows"])
    assert aligned > 0.3  # of eight classes
    assert abs(aligned - rotated) <= 0.1
    assert found["extra_rows"] == []
    assert "paired" not in found
    assert found["trained_on"]["name"] == str(made / "tiny.yaml")
    assert main(["compare", str(report), str(report)]) == 0
    assert "given.features.aligned" in capsys.readouterr().out


def test_shapes_are_embedded_and_found_again(made, tmp_path, capsys):
    ckpt = ["--ckpt", str(made / "model")]
    index = tmp_path / "shapes.npz"
    assert main(["embed", *ckpt, "--out", str(index), str(made / "shapes")]) == 0
    found = load_embeddings(index)
    assert found.vectors.shape == (6, 2704)
    assert found.about.points == 64
    capsys.readouterr()
    query = str(made / "shapes" / "rod1.off")
    arguments = ["--index", str(index), "--top", "3", "--out", str(tmp_path / "found"), query]
    assert main(["search", *ckpt, *arguments]) == 0
    nearest = [line.split()[2] for line in capsys.readouterr().out.splitlines()[1:4]]
    assert nearest[0] == "rod1"
    assert set(nearest) == {"rod0", "rod1", "rod2"}


def test_a_split_of_its_data_is_embedded(made, tmp_path):
    arguments = ["--ckpt", str(made / "model"), "--data", str(made / "tiny.yaml")]
    assert main(["embed", *arguments, "--out", str(tmp_path / "test.npz")]) == 0
    found = load_embeddings(tmp_path / "test.npz").vectors
    assert found.shape == (40, 2704)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("command", ["generation", "interpolate", "robustness"])
def test_commands_for_trained_models_refuse_it_in_a_sentence(made, capsys, command):
    said = refused(capsys, command, "--ckpt", made / "model")
    assert "a descriptor encodes and does not decode" in said


def test_the_evaluation_of_images_refuses_it(made, capsys):
    said = refused(capsys, "evaluate", "--ckpt", made / "model")
    assert "holds a Descriptor" in said
    assert "for models of images" in said


def test_its_page_says_that_there_is_nothing_to_look_at(made, tmp_path, capsys):
    page = tmp_path / "report.html"
    assert main(["report", "--ckpt", str(made / "model"), "--out", str(page)]) == 0
    assert "a descriptor encodes and does not decode" in capsys.readouterr().out
    assert "a descriptor encodes and does not decode" in page.read_text()


def test_an_option_of_untrained_encoders_is_refused(made, tmp_path, capsys):
    protocol = ["--protocol", made / "quick.yaml", "--json", tmp_path / "probe.json"]
    arguments = ["--ckpt", made / "model", *protocol, "--untrained", "initial"]
    assert "a descriptor is never trained: omit it" in refused(capsys, "probe", *arguments)
    assert not (tmp_path / "probe.json").exists()


def test_a_protocol_of_pooled_features_alone_is_refused(made, tmp_path, capsys):
    protocol = tmp_path / "pooled.yaml"
    protocol.write_text(QUICK.replace("[mean, pooled]", "[pooled]"))
    said = refused(capsys, "probe", "--ckpt", made / "model", "--protocol", protocol)
    assert "a descriptor has none: take ours" in said


def test_a_model_that_is_there_stays(made, tmp_path, capsys):
    tiny_train(tiny_config(made, training={"epochs": 1}), tmp_path / "run")
    before = (tmp_path / "run" / WEIGHTS).read_bytes()
    data = ["--data", made / "tiny.yaml"]
    said = refused(capsys, "descriptor", "bps", *data, "--out", tmp_path / "run")
    assert "holds a model already" in said
    assert (tmp_path / "run" / WEIGHTS).read_bytes() == before


def test_images_are_refused(tmp_path, capsys):
    said = refused(capsys, "descriptor", "bps", "--data", "digits", "--out", tmp_path / "model")
    assert "digits" in said
    assert not (tmp_path / "model").exists()


def test_a_descriptor_that_names_an_unknown_kind_is_refused(made, tmp_path, capsys):
    copy = shutil.copytree(made / "model", tmp_path / "copy")
    described = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(described | {"kind": "fpfh"}))
    said = refused(capsys, "embed", "--ckpt", copy, "--out", tmp_path / "x.npz", made / "shapes")
    assert "kind" in said


def test_a_card_of_ones_own_is_found_from_another_folder(made, tmp_path, monkeypatch):
    monkeypatch.chdir(made)
    assert main(["descriptor", "bps", "--data", "tiny.yaml", "--out", str(tmp_path / "bps")]) == 0
    assert read_model(tmp_path / "bps").data["name"] == str(made / "tiny.yaml")
