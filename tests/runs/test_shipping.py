"""A model that comes with the package is made from a run, with a card that says how."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
import torch
import yaml

import pc_crvae
from helpers.distributed_worker import CONTRAST
from helpers.tiny_runs import tiny_config, tiny_train
from helpers.toy_models import clouds, point_vae
from pc_crvae.config import parse_config
from pc_crvae.errors import UserError
from pc_crvae.models.exports import recorded_sha256
from pc_crvae.runs import shipping
from pc_crvae.runs.model_card import stages_of
from pc_crvae.runs.saved import read_model
from pc_crvae.runs.shipping import ship
from pc_crvae.utils import resources

TOOL = Path(__file__).parents[2] / "tools" / "ship.py"
SHAPES = {"name": "programs", "points": 32, "items_per_epoch": 40}
PARTS = {"parts": ["encoder"], "freeze": ["encoder"]}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run by contrast, and one that learns to decode on its encoder."""
    folder = tmp_path_factory.mktemp("runs")
    model = {"embedding": "pooled"}
    first = tiny_config(folder, **CONTRAST, data=SHAPES, model=model, training={"epochs": 1})
    tiny_train(first, folder / "trunk")
    init = {"from": str(folder / "trunk"), **PARTS}
    second = tiny_config(folder, data=SHAPES, model=model, init=init, training={"epochs": 1})
    tiny_train(second, folder / "whole")
    return folder


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "SHIPPED", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "shipped"


def test_what_is_shipped_opens_by_its_name_and_embeds_as_the_run(runs, shipped):
    assert ship(runs / "whole", "pretrained") == shipped / "pretrained"
    names = {path.name for path in (shipped / "pretrained").iterdir()}
    assert names == {"config.json", "model.safetensors", "card.md"}
    points = clouds(4, points=40)
    model = pc_crvae.load("pretrained")
    torch.testing.assert_close(
        model.embed(points), read_model(runs / "whole").embed(points), rtol=1e-2, atol=1e-2
    )
    assert model.reconstruct(points).shape == (4, 16, 3)


def test_the_card_says_how_the_model_was_made_and_what_it_is(runs, shipped):
    card = (ship(runs / "whole", "pretrained", figures="12 of 13\n") / "card.md").read_text()
    assert card.startswith("# pretrained\n")
    assert recorded_sha256(shipped / "pretrained") in card
    assert "stand upright" in card
    assert "a vector of 16 numbers, and decodes its posterior mean to 16 points" in card
    assert "## Measured\n\n12 of 13\n" in card
    assert card.index("**trunk**") < card.index("**whole**")
    assert "- `programs` (trunk and whole): Random programs. Licence: MIT" in card
    assert "It started from runs/trunk." in card
    assert str(runs) not in card
    assert "seed 0, 5 steps of 8 shapes, 0 minutes of training" in card


def test_the_configurations_of_a_card_make_the_runs_again(runs, shipped):
    first, second = stages_of(runs / "whole")
    assert (first.name, second.name) == ("trunk", "whole")
    again = parse_config(yaml.safe_load(first.text), "the card")
    assert again == first.config
    init = yaml.safe_load(second.text)["init"]
    assert init == {"from": "runs/trunk", **PARTS}


def test_a_model_that_does_not_decode_says_so(runs, shipped):
    card = (ship(runs / "trunk", "trunk") / "card.md").read_text()
    assert "It does not decode" in card
    assert "Not measured yet." in card


def test_shipping_again_replaces_what_was_there(runs, shipped):
    ship(runs / "trunk", "pretrained")
    before = recorded_sha256(shipped / "pretrained")
    ship(runs / "whole", "pretrained")
    assert recorded_sha256(shipped / "pretrained") != before
    assert [path.name for path in shipped.iterdir()] == ["pretrained"]


@pytest.mark.parametrize("name", ["../x", "Pre", "a/b", "-a", ""])
def test_a_name_that_is_no_folder_s_is_refused(runs, shipped, name):
    with pytest.raises(UserError, match="is no name of a model"):
        ship(runs / "trunk", name)


def test_what_is_too_large_or_no_run_is_refused_and_nothing_is_written(
    runs, shipped, tmp_path, monkeypatch
):
    point_vae().save_pretrained(tmp_path / "export")
    with pytest.raises(UserError, match="is no run, whose record a card is made of"):
        ship(tmp_path / "export", "pretrained")
    monkeypatch.setattr(shipping, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match=r"bytes in half precision, and .* at most 1,000"):
        ship(runs / "trunk", "pretrained")
    assert not shipped.exists() or not list(shipped.iterdir())


def test_a_run_whose_start_has_gone_is_refused(runs, shipped, tmp_path):
    shutil.copytree(runs / "whole", tmp_path / "whole")
    config = tmp_path / "whole" / "config.yaml"
    config.write_text(config.read_text().replace(str(runs / "trunk"), str(tmp_path / "gone")))
    with pytest.raises(UserError, match="gone is not a folder"):
        ship(tmp_path / "whole", "pretrained")


def test_the_tool_ships(runs, shipped, tmp_path, monkeypatch, capsys):
    (tmp_path / "figures.md").write_text("| a | b |")
    arguments = [str(runs / "whole"), "pretrained", "--figures", str(tmp_path / "figures.md")]
    monkeypatch.setattr(sys, "argv", ["ship.py", *arguments])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(TOOL), run_name="__main__")
    assert left.value.code == 0
    assert "helpers.shipped_vectors" in capsys.readouterr().out
    assert "| a | b |" in (shipped / "pretrained" / "card.md").read_text()
    described = json.loads((shipped / "pretrained" / "config.json").read_text())
    assert described["data"]["init"]["weights_sha256"] == recorded_sha256(runs / "trunk")
