"""The card that a model is saved with, and the hub that it is pushed to."""

import os
import subprocess
import sys

import yaml

import pc_crvae
from helpers.hub_server import COMMIT, hub
from helpers.tiny_runs import tiny_config
from helpers.toy_models import point_vae
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.points.vae import PointVAE

PUSH = """
import sys
from pc_crvae.models.points.vae import PointVAE
model = PointVAE.from_pretrained(sys.argv[1])
print(model.save_pretrained(
    sys.argv[1], push_to_hub=True, repo_id="somebody/model", token="hf_of_nobody",
    model_card_kwargs={"figures": "12 of 13"},
))
"""


def card_of(model, folder, **about) -> str:
    model.save_pretrained(folder, model_card_kwargs=about)
    return (folder / "README.md").read_text()


def test_a_card_says_what_the_model_is_how_to_load_it_and_what_it_cannot_do(tmp_path):
    card = card_of(point_vae(), tmp_path / "my-model")
    _, header, text = card.split("---\n", 2)
    assert yaml.safe_load(header)["library_name"] == "pc-crvae"
    assert "point-clouds" in yaml.safe_load(header)["tags"]
    assert text.lstrip().startswith("# my-model\n\n`PointVAE(encoder=")
    assert 'pc_crvae.load("FOLDER")' in text
    assert "Shapes that are turned are other shapes to it" in text
    assert "No record says what it was trained on." in text
    assert "`pc-crvae probe --ckpt FOLDER` measures" in text


def test_invariances_are_those_of_the_model(tmp_path):
    card = card_of(point_vae(frames="so3"), tmp_path)
    assert "Which way a shape faces does not matter" in card
    assert "Stray points and missing regions turn these axes" in card
    card = card_of(Descriptor("bps", frames="z"), tmp_path / "descriptor")
    assert "Shapes that do not stand upright are other shapes to it" in card
    assert "nothing of it is trained" in card
    assert "It does not decode" in card


def test_figures_and_protocol_stand_under_what_was_measured(tmp_path):
    card = card_of(point_vae(), tmp_path, name="the name", figures="| 93.2 |", protocol="By folds.")
    assert "# the name\n" in card
    assert "## Measured\n\n| 93.2 |\n\nBy folds.\n\n##" in card
    assert "pc-crvae probe" not in card


def test_a_trained_model_names_its_data_and_their_licence(tmp_path):
    config = tiny_config(tmp_path, training={"epochs": 1})
    run = pc_crvae.train(config, out=tmp_path / "run")
    model = PointVAE.from_pretrained(run)
    card = card_of(model, tmp_path / "saved")
    licence = model.data["licences"][config.data.name].rstrip(".")
    assert f"- `tiny`. Licence: {licence}.\n" in card
    assert model.data["train_sha256"] in card


def test_a_mixture_is_told_by_its_shares(tmp_path):
    model = point_vae()
    model.data = {"name": None, "mixture": {"programs": 0.85, "shapes": 0.15}}
    card = card_of(model, tmp_path)
    assert "- `programs`, 85% of every epoch. Licence: see `pc-crvae data show programs`.\n" in card


def test_a_model_is_pushed_whole_to_a_hub(tmp_path):
    point_vae().save_pretrained(tmp_path / "model")
    with hub() as server:
        done = subprocess.run(
            [sys.executable, "-c", PUSH, tmp_path / "model"],
            env=os.environ | {"HF_ENDPOINT": server.address, "HF_HUB_DISABLE_XET": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(f"/somebody/model/commit/{COMMIT}")
    assert server.created[0]["name"] == "model"
    for name in ("model.safetensors", "config.json"):
        assert server.files[name] == (tmp_path / "model" / name).read_bytes()
    assert b"# model\n" in server.files["README.md"]
    assert b"12 of 13" in server.files["README.md"]
