"""YAML is read as people write it."""

from itertools import pairwise
from pathlib import Path

import pytest

from helpers.fuzzing import bounds
from pc_crvae.errors import UserError
from pc_crvae.utils.yaml import parse_yaml, read_yaml


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "+1e3", "0.001", "1.0e-3"])
def test_an_exponent_makes_a_number_with_or_without_a_dot(text: str):
    assert parse_yaml(text) == float(text)


@pytest.mark.parametrize("text", ["1e", "e-3", "1-3", "abc"])
def test_what_only_looks_like_a_number_stays_a_string(text: str):
    assert parse_yaml(text) == text


def test_a_key_given_twice_is_named_with_its_line(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.write_text("seed: 1\nseed: 2\n")
    with pytest.raises(UserError, match=r"a\.yaml, line 1.*'seed' is given twice"):
        read_yaml(path)


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.write_text("# nothing\n")
    assert read_yaml(path) == {}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a: [1", "line 1 is not valid YAML"),
        (b"- a\n- b\n", "must hold keys and values, not a list"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"a: !!python/object/apply:os.system [ls]", "is not valid YAML"),
    ],
)
def test_a_file_that_is_not_a_yaml_mapping_is_named(tmp_path: Path, content: bytes, problem: str):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.yaml.*{problem}") as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


BOMBS = {
    "aliases": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefgh")
    ),
    "merged aliases": "a: &a {x: 1}\n"
    + "".join(
        f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 99)}]}}\n" for old, new in pairwise("abcde")
    ),
    "a list that holds itself": "a: &a [*a]",
    "nesting": "a: " + "[" * 5000 + "]" * 5000,
    "nested mappings": "{a: " * 5000 + "}" * 5000,
    "a number of 5,000 digits": "a: " + "9" * 5000,
    "a date that is none": "a: 2020-99-99",
    "a whole number that is none": "a: !!int x",
    "a number that is none": "a: !!float x",
    "a truth that is none": "a: !!bool x",
    "a time that is none": "a: !!timestamp x",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_asks_for_more_than_it_is_worth_is_one_sentence(tmp_path: Path, bomb: str):
    path = tmp_path / "a.yaml"
    path.write_text(BOMBS[bomb])
    with (
        bounds(),
        pytest.raises(UserError, match=r"a\.yaml, line \d+ is not valid YAML: ") as caught,
    ):
        read_yaml(path)
    assert len(str(caught.value)) < 1000


def test_a_file_too_large_for_settings_is_not_read(tmp_path: Path):
    path = tmp_path / "a.yaml"
    path.write_text("# " + "x" * (4 << 20))
    with pytest.raises(UserError, match="which no settings take"):
        read_yaml(path)


def test_aliases_of_a_few_values_are_what_they_stand_for():
    text = "a: &a {x: 1, y: [1, 2]}\nb: *a\nc: {<<: *a, z: 2}"
    one = {"x": 1, "y": [1, 2]}
    assert parse_yaml(text) == {"a": one, "b": one, "c": one | {"z": 2}}


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"cannot read .*none\.yaml: No such file"):
        read_yaml(tmp_path / "none.yaml")
