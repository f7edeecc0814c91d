"""``explore`` as a user meets it: a folder in; a page, tables and a report out."""

import base64
import csv
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from urllib.request import urlopen

import numpy as np
import pytest
import trimesh

import pc_crvae
from helpers.bent_shapes import TURN, bracket
from pc_crvae.cli import main
from pc_crvae.collection import shapes
from pc_crvae.collection.explore import explored_before
from pc_crvae.embedding.index import load_embeddings
from pc_crvae.models.descriptors.descriptor import Descriptor
from pc_crvae.models.exports import write_export
from pc_crvae.runs.saved import SavedModel

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a model that needs no training, and parts of which some are copies."""
    folder = tmp_path_factory.mktemp("made")
    model = Descriptor("bps", frames="so3", points=128).eval()
    write_export(model, folder / "model")
    parts = folder / "parts"
    (parts / "brackets").mkdir(parents=True)
    (parts / "rods").mkdir()
    mesh = bracket()
    mesh.export(parts / "brackets" / "a.off")
    shutil.copy(parts / "brackets" / "a.off", parts / "brackets" / "b.off")
    mesh.export(parts / "brackets" / "c.stl")
    inches = mesh.copy()
    inches.apply_scale(1 / 25.4)
    inches.export(parts / "brackets" / "inch.ply")
    turned = trimesh.Trimesh(mesh.vertices @ TURN.T, mesh.faces, process=False)
    turned.export(parts / "brackets" / f"{EVIL}.off")
    for row in range(6):
        rod = trimesh.creation.cylinder(radius=0.1 + row / 20, height=2, sections=12)
        rod.export(parts / "rods" / f"rod{row}.off")
    np.save(parts / "cloud.npy", np.random.default_rng(0).uniform(size=(300, 3)))
    (parts / "broken.off").write_text("OFF\n")
    (parts / "drawing.dwg").write_text("")
    (parts / "gone.stl").symlink_to(parts / "nowhere.stl")
    return folder


def explore(made, *arguments):
    return main(["explore", *map(str, arguments), "--ckpt", str(made / "model")])


@pytest.fixture(scope="module")
def explored(made):
    out = made / "out"
    assert explore(made, made / "parts", "--out", out) == 0
    return out


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def content_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="content">(.*?)</script>', text, re.DOTALL)[1])


def refused(capsys, status):
    assert status == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: ")
    return said


def test_every_copy_is_in_the_table_of_duplicates_by_its_kind(explored):
    found = {(row["first"], row["second"]): row for row in table(explored / "duplicates.csv")}
    kinds = {pair: row["kind"] for pair, row in found.items()}
    evil = f"brackets/{EVIL}"
    assert kinds[("brackets/a", "brackets/b")] == "same file"
    assert {kinds[pair] for pair in kinds if "brackets/c" in pair} == {"same geometry"}
    assert {kinds[pair] for pair in kinds if "brackets/inch" in pair} == {"scaled"}
    assert {kinds[pair] for pair in kinds if evil in pair} >= {"turned"}
    scaled = next(row for pair, row in found.items() if "brackets/inch" in pair)
    assert "25.4" in scaled["words"]
    assert "inches and millimetres" in scaled["words"]


def test_the_table_of_shapes_has_sizes_in_the_units_of_the_files(made, explored):
    rows = {row["id"]: row for row in table(explored / "shapes.csv")}
    assert len(rows) == 12
    rod = rows["rods/rod2"]
    assert float(rod["size_z"]) == 2
    exact = trimesh.load(made / "parts" / "rods" / "rod2.off")
    assert np.isclose(float(rod["volume"]), exact.volume)
    assert np.isclose(float(rod["area"]), exact.area)
    assert rod["path"] == str(made / "parts" / "rods" / "rod2.off")
    assert rows["cloud"]["area"] == rows["cloud"]["volume"] == ""
    assert rows["cloud"]["vertices"] == "300"


def test_units_are_named_where_the_format_names_one(made, tmp_path):
    for name in ("a.glb", "c.stl"):
        bracket().export(tmp_path / name)
    assert explore(made, tmp_path, "--out", tmp_path / "out") == 0
    units = {row["id"]: row["unit"] for row in table(tmp_path / "out" / "shapes.csv")}
    assert units == {"a": "m", "c": ""}
    content = content_of(tmp_path / "out" / "explore.html")
    shown = [fact.get("unit") for fact in content["facts"]]
    assert shown == ["m", None]


def test_the_page_carries_all_and_loads_nothing(explored):
    page = (explored / "explore.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:|//)""", page)
    assert "default-src 'none'" in page
    assert EVIL not in page
    content = content_of(explored / "explore.html")
    assert f"brackets/{EVIL}" in content["ids"]
    points = np.frombuffer(base64.b64decode(content["points"]), np.int8)
    assert points.size == len(content["ids"]) * content["pointsPerShape"] * 3
    near = np.frombuffer(base64.b64decode(content["neighbors"]), "<i4").reshape(12, -1)
    assert all(row not in own for row, own in enumerate(near.tolist()))
    told = " ".join(content["refused"])
    assert "broken.off" in told
    assert "gone.stl" in told
    assert ".dwg" in told


def test_the_report_of_duplicates_escapes_names_and_runs_nothing(explored):
    report = (explored / "duplicates.html").read_text(encoding="utf-8")
    assert EVIL not in report
    assert "<script" not in report
    assert "byte for byte" in report


def test_what_is_embedded_is_kept_and_only_what_changed_is_read_again(
    made, explored, tmp_path, monkeypatch
):
    out, parts = tmp_path / "out", tmp_path / "parts"
    shutil.copytree(made / "parts", parts, symlinks=True)
    assert explore(made, parts, "--out", tmp_path / "first") == 0
    trimesh.creation.box((1, 2, 5)).export(parts / "new.off")
    (parts / "rods" / "rod1.off").rename(parts / "moved.off")
    read = []
    own = shapes.measure
    monkeypatch.setattr(
        shapes, "measure", lambda content, up: read.append(content.path.name) or own(content, up)
    )
    assert explore(made, parts, "--out", out) == 0
    assert read == ["new.off"]
    first, again = (load_embeddings(folder / "embeddings.npz") for folder in (explored, out))
    vectors = dict(zip(first.ids, first.vectors, strict=True))
    np.testing.assert_array_equal(again.vectors[again.ids.index("moved")], vectors["rods/rod1"])


def test_an_index_is_explored_as_its_folder_is_and_without_a_model(explored, tmp_path):
    assert main(["explore", str(explored / "embeddings.npz"), "--out", str(tmp_path)]) == 0
    assert table(tmp_path / "duplicates.csv") == table(explored / "duplicates.csv")
    assert table(tmp_path / "shapes.csv") == table(explored / "shapes.csv")


def test_one_file_is_a_collection_of_one(made, tmp_path, capsys):
    assert explore(made, made / "parts" / "rods" / "rod1.off", "--out", tmp_path) == 0
    assert "1 shape, 0 groups" in capsys.readouterr().out
    assert content_of(tmp_path / "explore.html")["nearestPerShape"] == 0


def test_a_folder_that_holds_the_results_too_is_explored_again_alike(made, tmp_path):
    shutil.copytree(made / "parts" / "rods", tmp_path / "rods")
    for _ in range(2):
        assert explore(made, tmp_path / "rods", "--out", tmp_path / "rods" / "page") == 0
        assert len(table(tmp_path / "rods" / "page" / "shapes.csv")) == 6


def test_a_page_is_found_fresh_until_something_it_depends_on_changes(made, explored, tmp_path):
    out, parts = tmp_path / "out", tmp_path / "parts"
    shutil.copytree(made / "parts" / "rods", parts)
    model = SavedModel.open(made / "model", "last", device="cpu")

    def before(**options):
        return explored_before([parts], out, lambda: model, **options)

    assert before() is None
    written = pc_crvae.explore(parts, out=out, model=made / "model")
    found = before()
    assert found is not None
    embeddings, summary = found
    np.testing.assert_array_equal(embeddings.vectors, written.collection.embeddings.vectors)
    assert summary.startswith("6 shapes, ")
    assert before(points=64) is None
    assert before(up="y") is None
    for change, back in (
        (lambda: (parts / "new.off").write_text("OFF"), (parts / "new.off").unlink),
        (
            lambda: (out / "shapes.csv").rename(out / "s"),
            lambda: (out / "s").rename(out / "shapes.csv"),
        ),
        (
            lambda: (parts / "rod1.off").rename(parts / "r.off"),
            lambda: (parts / "r.off").rename(parts / "rod1.off"),
        ),
    ):
        change()
        assert before() is None
        back()
        assert before() is not None
    with (parts / "rod1.off").open("a") as file:
        file.write("\n")
    assert before() is None
    index = explored / "embeddings.npz"
    assert explored_before([index], out, lambda: model) is None
    pc_crvae.explore(index, out=out)
    assert explored_before([index], out, lambda: model) is not None
    page = out / "explore.html"
    page.write_bytes(page.read_bytes()[:-100])
    assert explored_before([index], out, lambda: model) is None


@pytest.mark.slow
def test_a_page_is_served_until_ctrl_c(made, tmp_path):
    command = [sys.executable, "-m", "pc_crvae", "explore", str(made / "parts" / "rods"), "--serve"]
    command += ["--out", str(tmp_path / "out"), "--ckpt", str(made / "model")]
    for times in ("first", "again"):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = []
            for line in process.stdout:
                said.append(line)
                if line.startswith("served"):
                    break
            address = said[-1].split()[-1]
            assert urlopen(address).read().startswith(b"<!DOCTYPE html>")
            process.send_signal(signal.SIGINT)
            assert process.stdout.read() == "ended\n"
            assert process.wait() == 0
        assert ("as it was" in "".join(said)) == (times == "again")


def test_ctrl_c_before_the_address_is_told_ends_the_server(made, tmp_path, monkeypatch, capsys):
    @contextmanager
    def interrupted(*args, **options):
        signal.raise_signal(signal.SIGINT)
        yield "http://127.0.0.1:1/"

    monkeypatch.setattr("pc_crvae.collection.serving.serving", interrupted)
    assert explore(made, made / "parts" / "rods", "--out", tmp_path, "--serve") == 0
    assert capsys.readouterr().out.endswith("at http://127.0.0.1:1/\nended\n")


def test_what_is_as_it_was_is_not_made_anew(made, tmp_path, capsys):
    out, parts = tmp_path / "out", tmp_path / "parts"
    shutil.copytree(made / "parts", parts, symlinks=True)
    assert explore(made, parts, "--out", out) == 0
    summary = capsys.readouterr().out.splitlines()[0]
    written = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert explore(made, parts, "--out", out) == 0
    assert capsys.readouterr().out.splitlines() == [
        summary,
        f"page: {out / 'explore.html'} (as it was, since nothing has changed)",
    ]
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == written
    (out / "embeddings.npz").write_bytes(b"damaged")
    assert explore(made, parts, "--out", out) == 0
    assert "as it was" not in capsys.readouterr().out


def test_options_of_the_server_go_with_it(made, tmp_path, capsys):
    rods = made / "parts" / "rods"
    for option in (("--port", "1"), ("--host", "localhost")):
        assert "goes with --serve" in refused(capsys, explore(made, rods, *option))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status = explore(made, rods, "--out", tmp_path, "--serve", "--port", port)
        assert f"port {port} of 127.0.0.1 cannot be listened on" in refused(capsys, status)


def test_what_cannot_be_done_is_told_in_a_sentence(made, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert "holds no shape" in refused(capsys, explore(made, tmp_path / "empty"))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.off").write_text("OFF\n")
    said = refused(capsys, explore(made, tmp_path / "bad", "--out", tmp_path / "out"))
    assert "no shape can be used" in said
    assert "x.off" in said
    (tmp_path / "file").write_text("")
    rods = made / "parts" / "rods"
    said = refused(capsys, explore(made, rods, "--out", tmp_path / "file"))
    assert "could not write" in said
    nothing = ["--ckpt", str(tmp_path / "none"), "--out", str(tmp_path / "unmade")]
    said = refused(capsys, main(["explore", str(rods), *nothing]))
    assert not (tmp_path / "unmade").exists()
    assert "none" in said
    assert not (tmp_path / "explore").exists()


def test_the_function_gives_what_the_command_writes(made, explored, tmp_path):
    found = pc_crvae.explore(made / "parts", out=tmp_path, model=made / "model")
    assert found.page == tmp_path / "explore.html"
    assert len(found.collection.refused) == 2
    assert len(found.analysis.findings) == len(table(explored / "duplicates.csv"))
