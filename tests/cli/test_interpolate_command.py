"""``interpolate`` as a user meets it: strips, the page, and what it refuses."""

import json
import re
import shutil
import sys

import pytest

from helpers.tiny_runs import tiny_config, tiny_train, tiny_values
from pc_crvae.cli import main
from pc_crvae.data import load
from pc_crvae.report import interpolation

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a card, a run of an epoch and one of a plain auto-encoder."""
    folder = tmp_path_factory.mktemp("trained")
    tiny_train(tiny_config(folder, training={"epochs": 1}), folder / "run")
    plain = {"objective": {"name": "autoencoder"}, "consistency": None}
    tiny_train(tiny_config(folder, **plain, training={"epochs": 1}), folder / "plain")
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run that a test may write to."""
    return shutil.copytree(trained / "run", tmp_path / "run")


@pytest.fixture(scope="module")
def ids(trained):
    """Names of the test shapes."""
    return load(trained / "tiny.yaml", "test").ids


@pytest.fixture
def renderers(monkeypatch):
    """The renderer asked for, strip by strip; nothing is drawn, and Open3D always fails."""
    asked = []

    def render_strip(clouds, path, titles=None, *, renderer="auto"):
        asked.append(renderer)
        return "rendered by matplotlib" + (": no Vulkan" if renderer == "auto" else "")

    monkeypatch.setattr(interpolation, "render_strip", render_strip)
    return asked


def interpolate(run, *arguments, renderer="matplotlib"):
    """The exit status."""
    return main(["interpolate", "--ckpt", str(run), "--renderer", renderer, *map(str, arguments)])


def refused(capsys, run, *arguments):
    """The one sentence that ``interpolate`` answers ``arguments`` with."""
    capsys.readouterr()
    assert interpolate(run, *arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err


def path_titles(folder):
    """What lies at the two ends of each path of the page."""
    page = (folder / "interpolation.html").read_text()
    (stored,) = re.findall(r'<script type="application/json" id="content">(.*?)</script>', page)
    return [path["title"] for path in json.loads(stored)["paths"]]


def test_it_writes_a_strip_for_each_path_and_one_page(run, ids, capsys):
    assert interpolate(run, "--steps", 3, "--random", 1) == 0
    folder = run / "interpolation"
    names = ["interpolation.html", "strip-1.png", "strip-2.png", "strip-3.png"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for strip in folder.glob("*.png"):
        assert strip.read_bytes().startswith(PNG)
    *shapes, drawn = path_titles(folder)
    for title in shapes:
        start, end = title.split(" to ")
        assert {start, end} <= set(ids)
        assert start.rsplit("-", 1)[0] != end.rsplit("-", 1)[0]  # of different classes
    assert drawn == "draw 1 to draw 2"
    said = capsys.readouterr().out
    assert f"strip: {folder / 'strip-3.png'} (rendered by matplotlib)" in said
    assert f"page: {folder / 'interpolation.html'}" in said


def test_named_shapes_are_the_only_path(run, ids, tmp_path):
    out = tmp_path / "out"
    assert interpolate(run, "--from", ids[3], "--to", ids[0], "--steps", 2, "--out", out) == 0
    assert path_titles(out) == [f"{ids[3]} to {ids[0]}"]
    assert [path.name for path in out.glob("*.png")] == ["strip-1.png"]
    assert not (run / "interpolation").exists()


def test_an_unknown_shape_is_answered_with_the_nearest_there_is(run, ids, capsys):
    misspelt = ids[0].replace("-", "_")
    sentence = refused(capsys, run, "--from", misspelt, "--to", ids[1])
    assert f"has no shape {misspelt}: did you mean {ids[0]}?" in sentence


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_one_named_end_is_refused(run, ids, capsys, option):
    assert "--from and --to go together" in refused(capsys, run, option, ids[0])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--steps", 1], "--steps must be at least 2, not 1"),
        (["--pairs", 0, "--random", 0], "nothing to interpolate"),
        (["--pairs", "-1"], "--pairs must be at least 0, not -1"),
        (["--random", "-1"], "--random must be at least 0, not -1"),
    ],
)
def test_an_impossible_number_is_refused(run, capsys, arguments, sentence):
    assert sentence in refused(capsys, run, *arguments)
    assert not (run / "interpolation").exists()


def test_a_plain_auto_encoder_has_no_prior_and_interpolates_between_shapes(
    trained, tmp_path, capsys
):
    plain, out = trained / "plain", tmp_path / "out"
    assert "has no prior to draw pairs" in refused(capsys, plain, "--random", 1)
    assert interpolate(plain, "--pairs", 1, "--steps", 2, "--out", out) == 0
    (title,) = path_titles(out)
    assert "draw" not in title


def test_opposite_latents_are_joined_by_a_straight_path_only(tmp_path, capsys, renderers):
    model = tiny_values(tmp_path)["model"] | {"latent_dim": 1}
    tiny_train(tiny_config(tmp_path, model=model, training={"epochs": 1}), tmp_path / "line")
    of_either_sign = ["--pairs", 0, "--random", 8]
    assert "take a linear path" in refused(capsys, tmp_path / "line", *of_either_sign)
    assert interpolate(tmp_path / "line", *of_either_sign, "--kind", "linear") == 0


def test_an_output_folder_that_cannot_be_made_is_refused(run, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    sentence = refused(capsys, run, "--out", tmp_path / "file")
    assert f"could not write {tmp_path / 'file' / 'strip-1.png'}" in sentence
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.skipif(sys.platform != "linux", reason="displays are named so on Linux only")
def test_without_a_display_the_window_is_refused_and_the_page_is_there(
    run, capsys, monkeypatch, renderers
):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "no window can open without a display" in refused(capsys, run, "--view")
    assert (run / "interpolation" / "interpolation.html").is_file()


def test_the_seed_fixes_what_is_drawn(run, tmp_path, renderers):
    pages = {}
    for name, seed in {"one": 0, "again": 0, "other": 1}.items():
        assert interpolate(run, "--seed", seed, "--out", tmp_path / name) == 0
        pages[name] = (tmp_path / name / "interpolation.html").read_text()
    assert pages["one"] == pages["again"]
    assert path_titles(tmp_path / "one") != path_titles(tmp_path / "other")


def test_where_open3d_fails_once_it_is_not_waited_for_again(run, renderers, capsys):
    assert interpolate(run, renderer="auto") == 0
    assert renderers == ["auto", "matplotlib", "matplotlib"]
    assert capsys.readouterr().out.count("no Vulkan") == 1


def test_the_renderer_asked_for_draws_every_strip(run, monkeypatch):
    asked = []

    def render_strip(clouds, path, titles=None, *, renderer="auto"):
        asked.append(renderer)
        return "rendered by Open3D"

    monkeypatch.setattr(interpolation, "render_strip", render_strip)
    assert interpolate(run, renderer="open3d") == 0
    assert asked == ["open3d"] * 3
