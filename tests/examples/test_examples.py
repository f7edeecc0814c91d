"""The scripts of examples/ run as they stand, and print what their readers are told."""

import os
import re
import subprocess
import sys

import pytest

from pc_crvae.utils.resources import checkout_folder

CHECKOUT = checkout_folder()
pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="an installed package has no examples")

LONGEST = 79  # lines


def printed_by(name: str, tmp_path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, CHECKOUT / "examples" / name, *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_example_has_more_lines_than_fit_on_a_page():
    lengths = {path.name: len(path.read_text().splitlines()) for path in examples()}
    assert lengths
    assert {name for name, length in lengths.items() if length > LONGEST} == set()


def examples():
    return sorted((CHECKOUT / "examples").glob("*.py"))


def test_each_example_says_by_which_command_it_runs():
    for path in examples():
        assert f"    python examples/{path.name}" in path.read_text().split('"""')[1], path


@pytest.mark.slow
def test_a_loop_in_plain_pytorch_learns_to_recognise_turned_shapes(tmp_path):
    text = printed_by("train_in_plain_pytorch.py", tmp_path)
    after, before = map(int, re.findall(r"(\d+)% (?:recognised|before)", text))
    assert text.count("epoch ") == 4
    assert after > before


@pytest.mark.slow
def test_the_regulariser_brings_the_posteriors_of_somebodys_vae_together(tmp_path):
    text = printed_by("regularise_your_vae.py", tmp_path)
    without, regularised = map(float, re.findall(r"consistency ([\d.]+) nats", text))
    assert regularised < without


@pytest.mark.slow
def test_a_data_set_of_torch_geometric_is_probed_beside_the_bar(tmp_path):
    text = printed_by("probe_torch_geometric_data.py", tmp_path)
    assert "<CloudSet primitives, train: 120 x (256, 3) float32, 3 classes>" in text
    found = dict(re.findall(r"^- (\S+) features: ([\d.]+)%$", text, re.MULTILINE))
    assert set(found) == {"trained", "untrained", "training-free"}
    assert float(found["trained"]) > 90  # boxes, cones and tori are easy to tell


@pytest.mark.slow
def test_the_nearest_of_a_shape_are_of_its_kind(tmp_path):
    text = printed_by("embed_and_search.py", tmp_path)
    rows = re.findall(r"^(\w+)-\d: (\w+)-\d [\d.]+, (\w+)-\d [\d.]+, (\w+)-\d", text, re.MULTILINE)
    assert [row[0] for row in rows] == ["ball", "box", "ring", "rod"]
    assert all(len(set(row)) == 1 for row in rows)


@pytest.mark.slow
def test_features_from_elsewhere_are_scored_by_the_same_protocol(tmp_path):
    text = printed_by("probe_any_features.py", tmp_path)
    assert float(re.search(r"given features +([\d.]+) ±", text)[1]) > 20  # chance is 5
    assert re.search(r"The class it knows least: [a-z]+\.", text)
