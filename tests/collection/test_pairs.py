"""Comparisons of files: by several processes as in one, and kept from run to run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from helpers.bent_shapes import TURN, bracket
from pc_crvae.collection.moments import size_of
from pc_crvae.collection.pairs import PairsOfCollection, Reread, reread
from pc_crvae.collection.reading import Collection
from pc_crvae.collection.shapes import measure
from pc_crvae.collection.store import open_store
from pc_crvae.data.readers.shape_files import read_shape
from pc_crvae.embedding.index import About, Embeddings

ABOUT = About(model_sha256="0" * 64, points=8, up="z")


@pytest.fixture
def collection(tmp_path):
    mesh = bracket()
    turned = trimesh.Trimesh(mesh.vertices @ TURN.T * 2, mesh.faces, process=False)
    meshes = [mesh, turned, trimesh.creation.box((1, 2, 3))]
    paths = [tmp_path / f"{row}.off" for row in range(len(meshes))]
    for path, one in zip(paths, meshes, strict=True):
        one.export(path)
    shapes = tuple(measure(read_shape(path), "z") for path in paths)
    names = tuple(map(str, paths))
    vectors = np.eye(len(paths), dtype=np.float32)
    return Collection(Embeddings(names, vectors, names, ABOUT), shapes)


def test_several_processes_find_what_one_does(collection, monkeypatch):
    monkeypatch.setattr("pc_crvae.collection.pairs.FEW", 0)
    comparing, alone = PairsOfCollection(collection), PairsOfCollection(collection)
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert list(comparing.compare_all(pairs)) == pairs
    found = comparing.found
    assert found == {pair: alone.compare(pair) for pair in pairs}
    assert [None if one is None else one.kind for one in found.values()] == ["scaled", None, None]


def test_what_was_found_is_known_the_next_time(collection, tmp_path):
    with open_store(tmp_path / "kept.sqlite") as store:
        comparing = PairsOfCollection(collection, store)
        assert not comparing.is_known((0, 1))
        found = comparing.compare((0, 1))
        assert comparing.compare((0, 2)) is None
    with open_store(tmp_path / "kept.sqlite") as store:
        again = PairsOfCollection(collection, store)
        assert [again.is_known(pair) for pair in [(0, 1), (0, 2), (1, 0)]] == [True, True, False]
        assert again.found == {(0, 1): found, (0, 2): None}


@pytest.mark.parametrize("changed", [True, False], ids=["changed", "gone"])
def test_what_was_found_of_another_content_is_not_remembered(collection, tmp_path, changed):
    path = tmp_path / "1.off"
    before = path.read_bytes()
    with open_store(tmp_path / "kept.sqlite") as store:
        comparing = PairsOfCollection(collection, store)
        path.unlink()
        if changed:
            trimesh.creation.box((3, 1, 1)).export(path)
        with pytest.warns(UserWarning, match=r"1\.off has changed or gone"):
            assert comparing.compare((0, 1)) is None
        path.write_bytes(before)
        again = PairsOfCollection(collection, store)
        assert not again.is_known((0, 1))
        assert again.compare((0, 1)).kind == "scaled"


def test_clouds_are_read_to_be_compared_too(tmp_path):
    points = np.random.default_rng(0).normal(size=(50, 3))
    np.save(tmp_path / "a.npy", points)
    known = measure(read_shape(tmp_path / "a.npy"), "z")
    found = reread(tmp_path / "a.npy", "z", known)
    assert found.body is not None
    assert found.size == 50
    assert reread(tmp_path / "gone.npy", "z", known) == Reread()


def test_what_was_measured_spares_nothing_but_time(collection):
    path, shape = Path(collection.embeddings.sources[1]), collection.shapes[1]
    known = reread(path, "z", shape)
    other = replace(collection.shapes[2], digest="0" * 64)
    for body in (known.body, reread(path, "z", other).body):
        assert body.size == size_of(shape.moments)
        np.testing.assert_array_equal(body.moments.kurtosis, shape.moments.kurtosis)
    assert known.body.moments is shape.moments
