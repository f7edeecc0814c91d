"""``search FOLDER QUERY`` as a user meets it: in one step, and again with little to read."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from pc_crvae import search as search_from_python
from pc_crvae.cli import main
from pc_crvae.embedding.index import load_embeddings
from pc_crvae.models.descriptors.descriptor import Descriptor


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that needs no training."""
    folder = tmp_path_factory.mktemp("model")
    Descriptor(kind="bps", points=256).save_pretrained(folder)
    return folder


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Boxes and rods, and a cache of their own."""
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "cache"))
    for row, suffix in enumerate((".off", ".stl", ".ply")):
        for kind, mesh in (
            ("box", trimesh.creation.box(extents=(1, 1 + row / 9, 1))),
            ("rod", trimesh.creation.cylinder(radius=0.1 + row / 99, height=2)),
        ):
            path = tmp_path / "parts" / kind / f"{row}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            mesh.export(path)
    return tmp_path / "parts"


def search(run: Path, out: Path, *arguments: object) -> int:
    return main(["search", "--ckpt", str(run), "--out", str(out), *map(str, arguments)])


def test_a_folder_is_searched_in_one_step_and_read_once(
    run: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    query = parts / "rod" / "2.ply"
    assert search(run, tmp_path, parts, query, "box/0", "--top", 2) == 0
    said = capsys.readouterr()
    assert f"6 files in {parts}: 6 read, 0 as they were, 0 refused" in said.err
    lines = said.out.splitlines()
    assert lines[0] == str(query)
    assert lines[1] == f"   1  0.0000  rod/2  {query}  (the query itself)"
    assert lines[2].split()[3].startswith(str(parts))
    assert "the query itself" not in lines[2]
    assert lines[4] == f"   1  0.0000  box/0  {parts / 'box' / '0.off'}  (the query itself)"
    assert (tmp_path / "search.html").read_text().count("the query itself") == 2
    (parts / "rod" / "1.stl").write_bytes((parts / "box" / "1.stl").read_bytes())
    assert search(run, tmp_path, parts, query, "--top", 6) == 0
    again = capsys.readouterr()
    assert "6 files in " in again.err
    assert "0 read, 6 as they were" in again.err  # its content is known
    (parts / "rod" / "0.off").write_bytes((parts / "rod" / "0.off").read_bytes() + b"\n")
    assert search(run, tmp_path, parts, query, "--top", 6) == 0
    assert "1 read, 5 as they were" in capsys.readouterr().err
    hits = [line.split() for line in again.out.splitlines()[1:7]]
    distances = {name: distance for _, distance, name, *_ in hits}
    assert distances["rod/1"] == distances["box/1"]  # of the same file now


def test_embed_and_search_by_an_index_find_the_same(
    run: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    index = tmp_path / "index.npz"
    assert main(["embed", "--ckpt", str(run), str(parts), "--out", str(index)]) == 0
    capsys.readouterr()
    query = parts / "box" / "1.stl"
    assert search(run, tmp_path, query, "--index", index, "--top", 6) == 0
    by_index = capsys.readouterr().out
    assert search(run, tmp_path, parts, query, "--top", 6) == 0
    assert capsys.readouterr().out == by_index
    hits = search_from_python(parts, query, model=run, top=2)
    assert [hit.id for hit in hits] == [line.split()[2] for line in by_index.splitlines()[1:3]]
    assert load_embeddings(index).ids[hits[0].row] == hits[0].id


def test_hits_are_written_as_json_and_csv(run: Path, parts: Path, tmp_path: Path):
    query = parts / "box" / "2.ply"
    files = ("--json", tmp_path / "hits.json", "--csv", tmp_path / "hits.csv")
    assert search(run, tmp_path, parts, query, "rod/0", "--top", 3, *files) == 0
    found = json.loads((tmp_path / "hits.json").read_text())
    assert (found["searched"], found["shapes"]) == (str(parts), 6)
    assert [answer["query"] for answer in found["answers"]] == [str(query), "rod/0"]
    first = found["answers"][0]["hits"][0]
    assert (first["rank"], first["id"], first["path"]) == (1, "box/2", str(query))
    assert first["is_query"]
    assert first["distance"] == pytest.approx(0, abs=1e-6)
    with (tmp_path / "hits.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    flat = [
        {"query": answer["query"]} | {name: str(value) for name, value in hit.items()}
        for answer in found["answers"]
        for hit in answer["hits"]
    ]
    assert rows == flat


def test_points_that_are_nan_are_left_out_where_one_asks(
    run: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    cloud = np.random.default_rng(0).uniform(size=(200, 3))
    cloud[7] = np.nan
    np.save(parts / "holed.npy", cloud)
    assert search(run, tmp_path, parts, "rod/0") == 0
    said = capsys.readouterr().err
    assert "refused: " in said
    assert "holed.npy has a coordinate that is NaN" in said
    assert search(run, tmp_path, parts, "holed", "--drop-nan", "--top", 1) == 0
    said = capsys.readouterr()
    assert "left out: 1 points that are NaN or infinite, of 1 clouds" in said.err
    assert "1  0.0000  holed" in said.out
    np.save(tmp_path / "query.npy", cloud)
    assert search(run, tmp_path, parts, tmp_path / "query.npy", "--drop-nan", "--top", 1) == 0
    assert "1  0.0000  holed" in capsys.readouterr().out
    assert search(run, tmp_path, parts, tmp_path / "query.npy", "--top", 1) == 2


def test_what_cannot_be_is_refused_in_a_sentence(
    run: Path, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "empty").mkdir()
    for arguments, sentence in [
        ((parts / "rod" / "0.off", "x"), "0.off is no folder to search"),
        ((tmp_path / "none", "x"), "none is no folder to search"),
        ((parts,), "name what to look for in"),
        ((tmp_path / "empty", "x"), "empty holds no shape"),
        ((parts, "rood/0"), "did you mean rod/0?"),
        ((parts, "rod/0", "--points", 0), "--points must be from 1"),
        (("rod/0", "--index", "a.npz", "--points", 9), "--points goes with a folder"),
    ]:
        assert search(run, tmp_path, *arguments) == 2
        assert sentence in capsys.readouterr().err
