"""What training starts from is said by a name, or with the parts that are taken and frozen."""

import pytest

from helpers.tiny_runs import IMAGE_RUNS
from pc_crvae.config import load_config, parse_config, plain, with_absolute_paths
from pc_crvae.errors import UserError
from pc_crvae.utils import resources

TRUNK = {"from": "runs/x", "parts": ["encoder"], "freeze": ["encoder"]}


def test_a_name_alone_takes_all_and_freezes_nothing():
    short = parse_config({"init": "pretrained"}, "test")
    assert short == parse_config({"init": {"from": "pretrained"}}, "test")
    assert (short.init.source, short.init.parts, short.init.freeze) == ("pretrained", None, ())
    assert parse_config({}, "test").init is None


@pytest.mark.parametrize("init", ["pretrained", TRUNK, None])
def test_it_is_written_as_it_is_read(init):
    config = parse_config({"init": init}, "test")
    assert parse_config(plain(config), "again") == config


def test_it_is_given_on_the_command_line(tmp_path):
    (tmp_path / "a.yaml").write_text("init: runs/x")
    config = load_config(tmp_path / "a.yaml", ["init.freeze=[head]", "init.from=runs/y"])
    assert (config.init.source, config.init.freeze) == ("runs/y", ("head",))
    assert load_config(tmp_path / "a.yaml", ["init=null"]).init is None


@pytest.mark.parametrize(
    ("init", "sentence"),
    [
        ({"form": "x"}, "init.form is not a known key, did you mean from?"),
        ({"source": "x"}, "init.source is not a known key"),
        ({"parts": ["head"]}, "init.from is missing"),
        ({"from": 3}, "init.from should be a valid string, not 3"),
        (4, "init should hold keys with values, not 4"),
        (TRUNK | {"parts": ["trunk"]}, "should be 'encoder', 'head' or 'decoder', not 'trunk'"),
        (TRUNK | {"parts": []}, "init.parts should have at least 1 item"),
        (TRUNK | {"parts": ["head", "head"]}, "parts names a part twice: head, head"),
        (TRUNK | {"parts": ["head"]}, "freeze keeps the encoder as it was taken, and parts does"),
        ({"from": "x", "freeze": ["encoder", "head", "decoder"]}, "leaves nothing to train"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(init, sentence):
    with pytest.raises(UserError) as caught:
        parse_config({"init": init}, "test")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_decoder_that_is_not_trained_does_not_count_as_left_to_train():
    init = {"from": "x", "freeze": ["encoder", "head"]}
    assert parse_config({"init": init}, "test").init.freeze == ("encoder", "head")
    with pytest.raises(UserError, match="leaves nothing to train"):
        parse_config({"init": init, "objective": {"name": "elbo", "weight": 0.0}}, "test")


def test_an_nvae_is_taken_as_a_whole():
    values = {name: IMAGE_RUNS["NVAE"][name] for name in ("data", "model", "consistency")}
    assert parse_config(values | {"init": "x"}, "test").init.source == "x"
    with pytest.raises(UserError, match="an nvae is taken as a whole"):
        parse_config(values | {"init": TRUNK}, "test")


def test_the_name_of_a_model_that_comes_with_the_package_stays_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(resources, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "shipped" / "pretrained").mkdir(parents=True)
    (tmp_path / "here" / "taken").mkdir(parents=True)
    (tmp_path / "shipped" / "taken").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def source(name):
        return with_absolute_paths(parse_config({"init": name}, "test")).init.source

    assert source("pretrained") == "pretrained"
    assert source("taken") == str(tmp_path / "here" / "taken")
    assert source("runs/x") == str(tmp_path / "here" / "runs" / "x")
