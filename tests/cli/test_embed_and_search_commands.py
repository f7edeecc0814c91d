"""``embed`` and ``search`` as a user meets them, on meshes and clouds of their own."""

import json
import shutil

import numpy as np
import pytest
import trimesh
from PIL import Image

from helpers.tiny_runs import tiny_config, tiny_train
from pc_crvae.cli import main
from pc_crvae.data import load_clouds
from pc_crvae.data.readers import shape_workers
from pc_crvae.embedding.index import load_embeddings


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a card, a run of an epoch, and shapes of one's own."""
    folder = tmp_path_factory.mktemp("trained")
    tiny_train(tiny_config(folder, training={"epochs": 1}), folder / "run")
    shapes = folder / "shapes"
    for kind in ("box", "rod"):
        (shapes / kind).mkdir(parents=True)
    for row, suffix in enumerate((".off", ".stl", ".ply", ".glb")):
        trimesh.creation.box(extents=(1, 1 + row / 9, 1)).export(shapes / "box" / f"{row}{suffix}")
        rod = trimesh.creation.cylinder(radius=0.1 + row / 99, height=2)
        rod.export(shapes / "rod" / f"{row}{suffix}")
    rng = np.random.default_rng(0)
    np.savetxt(shapes / "box" / "sparse.xyz", rng.uniform(size=(20, 3)))
    np.save(shapes / "box" / "dense.npy", rng.uniform(size=(500, 3)))
    return folder


@pytest.fixture
def shapes(trained, tmp_path):
    """A copy of the shapes that a test may damage."""
    return shutil.copytree(trained / "shapes", tmp_path / "shapes")


def embed(trained, out, *arguments):
    return main(["embed", "--ckpt", str(trained / "run"), "--out", str(out), *map(str, arguments)])


def search(trained, index, out, *arguments):
    options = ["--ckpt", str(trained / "run"), "--index", str(index), "--out", str(out)]
    return main(["search", *options, *map(str, arguments)])


@pytest.fixture(scope="module")
def index(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("index") / "shapes.npz"
    assert embed(trained, path, trained / "shapes") == 0
    return path


def refused(capsys, status):
    assert status == 2
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in said
    return said


def test_every_shape_of_a_folder_is_embedded_under_its_path(trained, index):
    found = load_embeddings(index)
    own = [f"{kind}/{row}" for kind in ("box", "rod") for row in range(4)]
    assert set(found.ids) == {*own, "box/sparse", "box/dense"}
    assert found.vectors.shape == (10, 4)
    assert found.about.points == 32
    assert found.about.up == "z,dae=own,glb=y,gltf=y"
    assert found.about.data is None
    assert dict(zip(found.ids, found.sources, strict=True))["rod/1"] == str(
        trained / "shapes" / "rod" / "1.stl"
    )


def test_embedding_again_and_elsewhere_gives_the_same_vectors(trained, index, shapes, tmp_path):
    renamed = shapes.rename(tmp_path / "moved")
    assert embed(trained, tmp_path / "again.npz", renamed / "rod", renamed / "box") == 0
    first, again = load_embeddings(index), load_embeddings(tmp_path / "again.npz")
    assert first.about == again.about
    vectors = dict(zip(first.ids, first.vectors, strict=True))
    for source, vector in zip(again.sources, again.vectors, strict=True):
        name = source.removeprefix(f"{renamed}/").rpartition(".")[0]
        np.testing.assert_allclose(vector, vectors[name], atol=1e-5)


def test_refused_files_are_named_and_left_out(trained, index, shapes, tmp_path, capsys):
    (shapes / "box" / "0.off").write_text("OFF\n3 1 0\n0 0")
    (shapes / "rod" / "bad.npy").write_bytes(b"\x93NUMPY")
    assert embed(trained, tmp_path / "out.npz", shapes) == 0
    said = capsys.readouterr()
    told = [line for line in said.err.splitlines() if line.startswith("refused: ")]
    assert len(told) == 2
    assert str(shapes / "box" / "0.off") in told[0]
    assert str(shapes / "rod" / "bad.npy") in told[1]
    assert "2 of 11 files were refused" in said.err
    assert "9 vectors of 4 numbers" in said.out
    whole, found = load_embeddings(index), load_embeddings(tmp_path / "out.npz")
    assert found.ids == tuple(name for name in whole.ids if name != "box/0")
    kept = [row for row, name in enumerate(whole.ids) if name != "box/0"]
    np.testing.assert_allclose(found.vectors, whole.vectors[kept], atol=1e-5)


def test_strict_writes_nothing_where_a_file_is_refused(trained, shapes, tmp_path, capsys):
    (shapes / "box" / "0.off").write_text("OFF\n")
    assert "by --strict" in refused(capsys, embed(trained, tmp_path / "o.npz", "--strict", shapes))
    assert not (tmp_path / "o.npz").exists()
    (shapes / "box" / "0.off").unlink()
    assert embed(trained, tmp_path / "o.npz", "--strict", shapes) == 0


def test_nothing_is_written_where_every_file_is_refused(trained, tmp_path, capsys):
    (tmp_path / "a.off").write_text("OFF\n")
    said = refused(capsys, embed(trained, tmp_path / "out.npz", tmp_path / "a.off"))
    assert "every one of the 1 files was refused" in said
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name files and folders to embed, or a data set"),
        (["gone.off"], "gone.off is missing"),
        (["--points", "0", "x"], "--points must be from 1 to 1,048,576, not 0"),
        (["--points", "100000000", "x"], "--points must be from 1 to 1,048,576"),
        (["--data-root", "x", "y"], "--data-root is the folder of --data"),
        (["--data", "shapes", "x"], "not both"),
        (["--average-over", "C0", "x"], "--average-over C0 is no group of rotations"),
    ],
)
def test_a_wrong_argument_is_refused(trained, tmp_path, capsys, arguments, sentence):
    assert sentence in refused(capsys, embed(trained, tmp_path / "out.npz", *arguments))
    assert not (tmp_path / "out.npz").exists()


def test_an_unknown_format_is_refused_before_anything_is_read(trained, tmp_path, capsys):
    said = refused(capsys, embed(trained, tmp_path / "out.csv", trained / "shapes"))
    assert "should end in .npz or .parquet" in said


def test_an_interrupted_embedding_leaves_nothing(trained, tmp_path, monkeypatch):
    def interrupt(path, count, up, *, unmeasured=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(shape_workers, "FEW", 10)
    monkeypatch.setattr(shape_workers, "load_shape", interrupt)
    (tmp_path / "out").mkdir()
    assert embed(trained, tmp_path / "out" / "out.npz", trained / "shapes") == 130
    assert list((tmp_path / "out").iterdir()) == []


def test_points_and_up_axis_are_kept_and_used_for_queries(trained, index, tmp_path, capsys):
    path = tmp_path / "turned.npz"
    assert embed(trained, path, trained / "shapes", "--points", 64, "--up", "x") == 0
    turned = load_embeddings(path)
    assert (turned.about.points, turned.about.up) == (64, "x")
    assert not np.allclose(turned.vectors, load_embeddings(index).vectors, atol=1e-2)
    query = trained / "shapes" / "rod" / "2.ply"
    assert search(trained, path, tmp_path, query, "--top", 1) == 0
    assert "1  0.0000  rod/2" in capsys.readouterr().out
    assert search(trained, path, tmp_path, query, "--top", 1, "--up", "z") == 0
    assert "0.0000" not in capsys.readouterr().out


def test_averaged_over_turns_a_shape_is_found_however_it_faces(trained, tmp_path, capsys):
    path = tmp_path / "averaged.npz"
    options = ("--points", 500, "--average-over", "C4")
    assert embed(trained, path, trained / "shapes" / "box", *options) == 0
    assert load_embeddings(path).about.average_over == "C4"
    x, y, z = np.load(trained / "shapes" / "box" / "dense.npy").T
    np.save(tmp_path / "quarter.npy", np.stack([-y, x, z], axis=1))
    assert search(trained, path, tmp_path, tmp_path / "quarter.npy", "--top", 1) == 0
    assert "1  0.0000  dense" in capsys.readouterr().out
    assert embed(trained, path, trained / "shapes" / "box", *options[:2]) == 0
    assert search(trained, path, tmp_path, tmp_path / "quarter.npy", "--top", 1) == 0
    assert "0.0000" not in capsys.readouterr().out


def test_every_file_finds_itself_first(trained, index, tmp_path, capsys):
    files = sorted(path for path in (trained / "shapes").rglob("*.*") if path.is_file())
    assert search(trained, index, tmp_path, *files, "--top", 3) == 0
    lines = capsys.readouterr().out.splitlines()
    for place, file in enumerate(files):
        query, *hits = lines[4 * place : 4 * place + 4]
        assert query == str(file)
        name = file.relative_to(trained / "shapes").with_suffix("").as_posix()
        assert hits[0] == f"   1  0.0000  {name}  {file}  (the query itself)"
        assert not any("the query itself" in hit for hit in hits[1:])
        distances = [float(hit.split()[1]) for hit in hits]
        assert distances == sorted(distances)
    picture = np.asarray(Image.open(tmp_path / "search.png"))
    assert picture.shape[0] > 10 * picture.shape[1] / 4
    assert "search.html (open this first: " in lines[-2]


def test_a_shape_of_the_index_is_a_query_by_its_id_even_when_its_file_is_gone(
    trained, shapes, tmp_path, capsys
):
    assert embed(trained, tmp_path / "index.npz", shapes) == 0
    (shapes / "rod" / "0.off").unlink()
    (shapes / "rod" / "1.stl").write_bytes(b"solid")
    capsys.readouterr()
    assert search(trained, tmp_path / "index.npz", tmp_path, "rod/0", "--top", 10) == 0
    assert "1  0.0000  rod/0" in capsys.readouterr().out
    page = (tmp_path / "search.html").read_text()
    assert page.count("its file is gone") == 1
    assert page.count("its file cannot be read") == 1
    assert page.count("<figure") == 11


def test_a_split_of_a_data_set_is_embedded_searched_and_pictured(trained, tmp_path, capsys):
    card = trained / "tiny.yaml"
    out = tmp_path / "of tiny.npz"
    assert embed(trained, out, "--data", card, "--split", "train") == 0
    found = load_embeddings(out)
    assert f"--index '{out}' {found.ids[0]}\n" in capsys.readouterr().out
    train = load_clouds(card, "train")
    assert found.ids == train.ids
    assert found.about.data is not None
    assert (found.about.data.name, found.about.data.split) == (str(card), "train")
    assert search(trained, out, tmp_path, train.ids[7], "--top", 2) == 0
    assert f"1  0.0000  {train.ids[7]}" in capsys.readouterr().out
    page = (tmp_path / "search.html").read_text()
    assert page.count("<canvas") == 3
    assert f"0.0000, {train.classes[train.labels[7]]}" in page


def test_a_data_set_that_cannot_be_loaded_any_more_is_searched_without_pictures(
    trained, tmp_path, capsys
):
    assert embed(trained, tmp_path / "tiny.npz", "--data", trained / "tiny.yaml") == 0
    with np.load(tmp_path / "tiny.npz") as arrays:
        members = dict(arrays)
    about = json.loads(str(members["about"]))
    about["data"]["name"] = str(tmp_path / "gone.yaml")
    np.savez(tmp_path / "tiny.npz", **(members | {"about": np.array(json.dumps(about))}))
    query = trained / "shapes" / "rod" / "0.off"
    assert search(trained, tmp_path / "tiny.npz", tmp_path, query, "--top", 2) == 0
    said = capsys.readouterr()
    assert "hits are not pictured: " in said.err
    assert (tmp_path / "search.html").read_text().count("<canvas") == 1


def test_an_index_of_another_model_is_refused(trained, index, tmp_path, capsys):
    config = tiny_config(tmp_path, training={"epochs": 1})
    tiny_train(config.model_copy(update={"seed": 5}), tmp_path / "other")
    arguments = ["--index", str(index), str(trained / "shapes" / "rod" / "0.off")]
    status = main(["search", "--ckpt", str(tmp_path / "other"), *arguments])
    assert "was made by another model" in refused(capsys, status)
    assert not (tmp_path / "other" / "search").exists()


def test_a_query_that_is_nothing_known_is_refused(trained, index, tmp_path, capsys):
    said = refused(capsys, search(trained, index, tmp_path, "rod/0.off"))
    assert "nor the id of a shape in the index, did you mean rod/0?" in said
    said = refused(capsys, search(trained, index, tmp_path, "gyroscope"))
    assert "nor the id of a shape in the index, whose ids are such as box/0" in said
    (tmp_path / "bad.off").write_text("OFF\n")
    assert "bad.off" in refused(capsys, search(trained, index, tmp_path, tmp_path / "bad.off"))
    assert "--top" in refused(capsys, search(trained, index, tmp_path, "rod/0", "--top", 0))
    assert "gone.npz" in refused(capsys, search(trained, tmp_path / "gone.npz", tmp_path, "x"))


def test_pictures_lie_in_the_run_s_folder_unless_told_otherwise(trained, index, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    assert main(["search", "--ckpt", str(run), "--index", str(index), "rod/0"]) == 0
    assert {path.name for path in (run / "search").iterdir()} == {"search.png", "search.html"}


def test_other_kinds_are_counted_and_points_that_are_nan_left_out_where_one_asks(
    trained, shapes, tmp_path, capsys
):
    for name in ("part.SLDPRT", "notes.md"):
        (shapes / name).touch()
    (shapes / "box" / "sizes.csv").write_text("id,width,height,price\n1,2,3,4\n2,3,4,5\n")
    spoiled = np.random.default_rng(0).uniform(size=(60, 3))
    spoiled[[2, 4], 0] = np.nan
    np.save(shapes / "box" / "dense.npy", spoiled)
    assert embed(trained, tmp_path / "a.npz", shapes) == 0
    said = capsys.readouterr().err
    assert "dense.npy has a coordinate that is NaN or infinite in point 2 (and in 1 more)" in said
    assert "passed over: 2 files of another kind: .sldprt 1 (export as ST" in said
    assert "passed over: a table beside meshes: " in said
    assert embed(trained, tmp_path / "b.npz", shapes, "--drop-nan", "--strict") == 0
    said = capsys.readouterr().err
    assert "left out: 2 points that are NaN or infinite, of 1 clouds" in said
    assert "box/sizes" not in load_embeddings(tmp_path / "b.npz").ids


def test_an_index_says_which_axis_was_up_in_each_kind_of_file(trained, index, tmp_path, capsys):
    assert load_embeddings(index).about.up == "z,dae=own,glb=y,gltf=y"
    path = tmp_path / "said.npz"
    box = trained / "shapes" / "box"
    assert embed(trained, path, box, "--up", "glb=z,stl=x") == 0
    assert load_embeddings(path).about.up == "z,dae=own,gltf=y,stl=x"
    assert embed(trained, path, box, "--up", "glb=q") == 2
    assert "up is x, y or z, not glb=q, or axes by suffix" in capsys.readouterr().err
