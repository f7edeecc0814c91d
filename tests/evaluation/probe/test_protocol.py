import re

import pytest
import yaml

from helpers.probe_protocols import protocol_names
from pc_crvae.cli import probe
from pc_crvae.cli.parsing import Parser
from pc_crvae.errors import UserError
from pc_crvae.evaluation.probe.classifier_settings import KernelSVC, LinearSVC, grid_of
from pc_crvae.evaluation.probe.protocol import (
    PROTOCOL_FOLDER,
    ProbeProtocol,
    load_protocol,
    parse_protocol,
)


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_of_the_package_goes_by_its_file_and_names_its_source(name):
    protocol = load_protocol(name)
    assert protocol.name == name
    assert len(protocol.source) > 5
    assert protocol.notes


def test_the_help_of_probe_names_every_protocol():
    parser = Parser(command="probe")
    probe.add_arguments(parser)
    (told,) = (action.help for action in parser._actions if action.dest == "protocol")
    assert set(protocol_names()) <= set(re.findall(r"[a-z0-9-]+", told))


def test_the_defaults_of_the_schema_are_ours():
    ours = load_protocol("ours")
    assert ours.model_copy(update={"notes": ()}) == ProbeProtocol()


@pytest.mark.parametrize(
    ("name", "classifier", "points", "pool"),
    [
        ("point-mae", LinearSVC(name="linear_svc", c=(1.0,)), 1024, None),
        ("strl", KernelSVC(name="svc_linear", c=(1.0,)), 2048, "max_mean"),
        ("occo", KernelSVC(name="svc_linear", c=(1.0,)), None, None),
        ("crosspoint", KernelSVC(name="svc_linear", c=(0.1,)), 1024, "max_mean"),
    ],
)
def test_a_published_preset_is_what_its_source_does(name, classifier, points, pool):
    protocol = load_protocol(name)
    assert protocol.classifier == classifier
    assert (protocol.points, protocol.pool) == (points, pool)
    assert protocol.standardise is False
    assert protocol.representations == ("pooled",)
    assert protocol.settings == ("aligned",)


def test_a_file_of_ones_own_is_read(tmp_path):
    values = yaml.safe_load((PROTOCOL_FOLDER / "ours.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values | {"name": "mine", "folds": 5}))
    assert load_protocol(path).folds == 5
    assert load_protocol(str(path)).name == "mine"


def test_a_grid_starts_with_the_smoothest_classifier():
    def grid(**classifier):
        return grid_of(parse_protocol({"classifier": classifier}, "here").classifier)

    assert grid(name="linear_svm", c=[1.0, 0.1, 1.0]) == (0.1, 1.0)
    assert grid(name="ridge", alpha=[1.0, 10.0]) == (10.0, 1.0)
    assert grid(name="knn", k=[1, 5]) == (5, 1)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"seed": [0]}, "seed is not a known key, did you mean seeds"),
        ({"classifier": {"name": "svm"}}, "classifier.name should be one of"),
        ({"classifier": {"name": "knn", "k": [0]}}, "classifier.k"),
        ({"classifier": {"name": "linear_svm", "c": []}}, "classifier.c"),
        ({"classifier": {"name": "linear_svm", "c": [0.0, 1.0]}}, "classifier.c"),
        ({"points": 0}, "points"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "seeds should be distinct"),
        ({"folds": 1}, "folds"),
        ({"settings": ["aligned", "y"]}, "settings"),
        ({"settings": ["z"], "clustering": {}}, "settings should include aligned"),
        ({"low_label": {"fractions": [1.5]}}, "low_label.fractions"),
        ({"few_shot": [{"ways": 1}]}, "few_shot"),
        ({"few_shot": [{"classifier": {"name": "knn", "k": [1, 5]}}]}, "should have one k"),
        ({"low_label": {"classifier": {"name": "linear_svm"}}}, "should have one c"),
        ({"other_classifiers": [{"name": "knn"}, {"name": "knn"}]}, "should be distinct"),
    ],
)
def test_a_protocol_that_strays_is_refused_in_one_sentence(values, sentence):
    with pytest.raises(UserError, match=r"^here: ") as refused:
        parse_protocol(values, "here")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_protocol_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean crosspoint"):
        load_protocol("crosspont")
    with pytest.raises(UserError, match=r"the package brings .*ours"):
        load_protocol("zzz")
