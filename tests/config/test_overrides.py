"""Overrides go before the file, and mistakes in them are told."""

import pytest

from helpers.refused_configs import refusal
from pc_crvae import config as schema
from pc_crvae.config import load_config
from pc_crvae.config import points as points_schema


def test_an_override_goes_before_the_file(write):
    path = write("training: {epochs: 3, batch_size: 8}")
    config = load_config(path, ["training.epochs=7", "seed=5"])
    assert (config.training.epochs, config.training.batch_size, config.seed) == (7, 8, 5)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("training.learning_rate=1e-3", 1e-3),
        ("training.learning_rate=2", 2.0),
        ("training.clip_norm=null", None),
        ("training.clip_norm=", None),
        ("data.root=../some where/a=b", "../some where/a=b"),
        ("consistency.stop_gradient=true", True),
        ("model.encoder.widths=[8, 16]", (8, 16)),
        ("consistency=null", None),
    ],
)
def test_the_value_of_an_override_is_yaml(empty, override, value):
    config = load_config(empty, [override])
    for key in override.partition("=")[0].split("."):
        config = getattr(config, key)
    assert config == value


def test_a_list_of_transforms_can_be_overridden(empty):
    config = load_config(
        empty, ["consistency.transforms=[{name: rotate_so3}, {name: jitter, sigma: 0.02}]"]
    )
    assert [t.name for t in config.consistency.transforms] == ["rotate_so3", "jitter"]
    assert config.consistency.transforms[1].sigma == 0.02


@pytest.mark.parametrize("order", [1, -1])
def test_a_change_of_kind_drops_the_other_kind_s_keys_in_any_order(write, order):
    path = write("model: {encoder: {name: pointnet, widths: [8, 16], batch_norm: false}}")
    overrides = ["model.encoder.name=dgcnn", "model.encoder.k=7"][::order]
    assert load_config(path, overrides).model.encoder == points_schema.DGCNNConfig(
        name="dgcnn", k=7
    )


def test_naming_the_same_kind_again_keeps_its_keys(write):
    path = write("model: {encoder: {name: pointnet, widths: [8, 16]}}")
    assert load_config(path, ["model.encoder.name=pointnet"]).model.encoder.widths == (8, 16)


def test_another_data_set_keeps_the_other_keys_of_data(write):
    config = load_config(write("data: {name: modelnet10, points: 484}"), ["data.name=modelnet40"])
    assert (config.data.name, config.data.points) == ("modelnet40", 484)


def test_a_key_of_a_section_that_is_null_brings_the_section_back(write):
    config = load_config(write("consistency: null"), ["consistency.weight=5"])
    assert config.consistency == schema.ConsistencyConfig(weight=5)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.epochs", "must be written section.key=value"),
        ("=3", "must be written section.key=value"),
        (".epochs=3", "must be written section.key=value"),
        ("training.=3", "must be written section.key=value"),
        ("training.epochs=[1", "is not valid YAML"),
        ("trainin.epochs=3", "trainin is not a known key, did you mean training?"),
        ("training.epoch=3", "training.epoch is not a known key, did you mean epochs?"),
        ("training.epochs=x", "training.epochs should be a valid integer, not 'x'"),
        ("training.epochs.more=3", "'epochs' is a value, not a section"),
        ("model.encoder.name=foo", "model.encoder.name should be one of"),
        ("data.name=2020-01-01", "holds what no setting can be"),
    ],
)
def test_a_mistake_in_an_override_is_told(empty, override, sentence):
    assert sentence in refusal(empty, override)
