"""What all commands share: where they write is looked at first, and what they print is text."""

import os
import subprocess
import sys

import pytest

from helpers.tiny_runs import tiny_config, tiny_train, write_card
from pc_crvae.cli import main
from pc_crvae.data.cache import store


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A card, a run of an epoch, a shape, an index, and a file where a folder would have to be."""
    folder = tmp_path_factory.mktemp("trained")
    tiny_train(tiny_config(folder, training={"epochs": 1}), folder / "run")
    (folder / "box.xyz").write_text("0 0 0\n1 0 0\n0 1 0\n0 0 1\n1 1 1\n" * 4)
    (folder / "file").touch()
    index = ["--ckpt", str(folder / "run"), "--out", str(folder / "index.npz")]
    assert main(["embed", *index, str(folder / "box.xyz")]) == 0
    return folder


WRITING = {
    "probe": ["probe", "--ckpt", "run", "--json", "file/a.json"],
    "probe of features": ["probe", "--features", "a.npz", "b.npz", "--json", "file/a.json"],
    "probe of the validation split": [
        *("probe", "--ckpt", "run", "--split", "validation", "--json", "file/a.json")
    ],
    "robustness": ["robustness", "--ckpt", "run", "--json", "file/a.json"],
    "generation": ["generation", "--ckpt", "run", "--json", "file/a.json"],
    "interpolate": ["interpolate", "--ckpt", "run", "--out", "file/a"],
    "embed": ["embed", "--ckpt", "run", "--out", "file/a.npz", "box.xyz"],
    "embed a split": ["embed", "--ckpt", "run", "--out", "file/a.npz", "--data", "tiny.yaml"],
    "search": ["search", "--ckpt", "run", "--index", "index.npz", "--out", "file/a", "box.xyz"],
    "report": ["report", "--ckpt", "run", "--out", "file/a.html"],
    "compare": ["compare", "run", "run", "--json", "file/a.json"],
    "curves": ["curves", "run", "--of", "kl", "--out", "file/a.png"],
    "descriptor": ["descriptor", "bps", "--data", "tiny.yaml", "--out", "file/a"],
    "train": ["train", "quickstart", "data.name=tiny.yaml", "data.points=32", "--out", "file/a"],
    "data stats": ["data", "stats", "tiny.yaml", "--json", "file/a.json"],
    "data preview": ["data", "preview", "tiny.yaml", "--out", "file/a"],
}


@pytest.mark.parametrize("what", WRITING)
def test_a_place_that_cannot_be_written_is_told_before_any_work(trained, what, monkeypatch, capsys):
    def work(*arguments, **options):
        raise AssertionError("it loads data first")

    monkeypatch.chdir(trained)
    monkeypatch.setattr(store, "obtain", work)
    monkeypatch.setattr("pc_crvae.data.readers.shape_workers.load_shape", work)
    status = main(WRITING[what])
    said = capsys.readouterr()
    assert status == 2
    assert "file" in said.err
    assert "Not a directory" in said.err or "File exists" in said.err
    assert said.err.count("\n") == 1


def test_an_argument_that_is_no_text_is_one_sentence(trained, capsys, monkeypatch):
    monkeypatch.chdir(trained)
    assert main(["embed", "--ckpt", "run", "--out", "a\udcff.npz", "box.xyz"]) == 2
    told = r"error: a\udcff.npz is not valid UTF-8: give the file another name"
    assert capsys.readouterr().err.strip() == told


def test_a_name_cannot_move_the_cursor_nor_end_the_line(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(trained)
    name = "a\x1b[2J\nerror: b.xyz"
    (tmp_path / name).write_text("no numbers")
    index, out = str(tmp_path / "index.npz"), str(tmp_path / "found")
    assert main(["embed", "--ckpt", "run", "--out", index, "box.xyz"]) == 0
    for arguments in (
        ["embed", "--ckpt", "run", "--out", index, str(tmp_path)],
        ["embed", "--ckpt", "run", "--out", index, str(tmp_path / name)],
        ["search", "--ckpt", "run", "--index", index, "--out", out, str(tmp_path / name)],
    ):
        assert main(arguments) == 2
        said = capsys.readouterr()
        assert "\x1b" not in said.out + said.err
        assert r"a\x1b[2J\nerror: b.xyz" in said.err
        told = [line[:8] for line in said.err.splitlines() if "error" in line]
        assert told.count("error: b") == 0


def test_a_reader_that_has_gone_is_no_error(tmp_path):
    write_card(tmp_path)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "pc_crvae", "data", "list"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, env=environment)
    assert done.returncode == 128 + 13
    assert done.stderr == b""
