"""Mixtures of sets, and the length of a training in steps or epochs."""

import pytest

from helpers.refused_configs import refusal
from pc_crvae import config as schema
from pc_crvae.config import load_config, parse_config, plain

MIXED = [{"name": "modelnet10", "share": 0.25}, {"name": "programs", "share": 0.75}]


def test_a_list_of_sets_is_a_mixture_of_them():
    config = parse_config({"data": MIXED}, "test")
    assert [(part.name, part.share) for part in config.data.sets] == [
        ("modelnet10", 0.25),
        ("programs", 0.75),
    ]
    assert config == parse_config({"data": {"mixture": MIXED}}, "test")
    assert config == parse_config(plain(config), "test")
    assert config.data.name == "modelnet10 + programs"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "data: [{name: shapes, share: 0.5}, {name: programs, share: 0.4}]",
            "data: the shares of a mixture sum to 1, and these to 0.9",
        ),
        ("data: [{name: shapes, share: 0.5}, {name: programs}]", "data.mixture.1.share is missing"),
        (
            "data: [{name: shapes, share: 0.5}, {name: shapes, share: 0.5}]",
            "a mixture holds each set once, and this one holds shapes 2 times: add up its shares",
        ),
        ("data: [{name: shapes, share: 0.5}]", "a mixture has at least two sets"),
        (
            "data: {name: shapes, mixture: [{name: shapes, share: 0.5}]}",
            "name belongs to each set of a mixture: give it with the set",
        ),
        ("training: {epochs: 3, steps: 9}", "give one of them, and set the other to null"),
        ("training: {epochs: null}", "give one of them, and set the other to null"),
    ],
)
def test_a_mixture_or_a_length_that_is_none_is_refused(write, text, sentence):
    assert sentence in refusal(write(text))


def test_steps_take_the_place_of_epochs_and_the_other_way_round(write, empty):
    assert load_config(write("training: {steps: 9}")).training.epochs is None
    lengths = [
        (config.training.epochs, config.training.steps)
        for config in (
            load_config(empty, ["training.steps=9"]),
            load_config(write("training: {steps: 9}"), ["training.epochs=3"]),
        )
    ]
    assert lengths == [(None, 9), (3, None)]


def test_cards_and_folders_of_a_mixture_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mixed = [{"name": "mine.yaml", "root": "here", "share": 0.5}, MIXED[1] | {"share": 0.5}]
    data = schema.with_absolute_paths(parse_config({"data": mixed}, "test")).data
    assert [part.name for part in data.mixture] == [str(tmp_path / "mine.yaml"), "programs"]
    assert [part.root for part in data.mixture] == [str(tmp_path / "here"), None]
