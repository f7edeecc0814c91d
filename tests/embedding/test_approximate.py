"""The approximate index: nearly the same hits, exact distances, kept beside the vectors."""

import os

import numpy as np
import pytest

from pc_crvae.embedding import approximate, opening
from pc_crvae.embedding.approximate import ApproximateIndex, place_of
from pc_crvae.embedding.index import About, Embeddings
from pc_crvae.embedding.opening import open_index
from pc_crvae.errors import UserError

ABOUT = About(model_sha256="0" * 64, points=8, up="z")


def made(count=3000, size=32, seed=0):
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(50, size))
    vectors = middles[np.arange(count) % 50] + 0.3 * rng.normal(size=(count, size))
    names = tuple(f"part/{row}" for row in range(count))
    return Embeddings(names, vectors.astype(np.float32), names, ABOUT)


@pytest.fixture
def many(monkeypatch):
    """More vectors than are searched exactly, and usearch."""
    pytest.importorskip("usearch", reason="usearch is not installed")
    monkeypatch.setattr(opening, "EXACT_UP_TO", 1000)
    return made()


def test_it_finds_nearly_what_the_exact_search_does(many, tmp_path):
    many.save(tmp_path / "a.npz")
    told = []
    index = open_index(tmp_path / "a.npz", tell=told.append)
    assert isinstance(index, ApproximateIndex)
    assert index.recall > 0.98
    assert f"{index.recall:.1%}" in told[0]
    queries = many.vectors[:100]
    distances, rows = index.nearest(queries, 10)
    exact, true = many.nearest(queries, 10)
    assert np.mean([len(set(a) & set(b)) for a, b in zip(rows, true, strict=True)]) > 9.8
    # Processors race when they build the graph, so a vector of it can be out of reach.
    found = rows[:, 0] == np.arange(100)
    assert found.mean() >= 0.97
    assert (distances[found, 0] == 0).all()
    same = rows == true
    np.testing.assert_allclose(distances[same], exact[same], atol=1e-12)


def test_ids_sources_and_what_they_are_of_are_those_of_the_file(many, tmp_path):
    many.save(tmp_path / "a.npz")
    index = open_index(tmp_path / "a.npz")
    assert (index.about, len(index)) == (many.about, len(many))
    assert tuple(index.ids) == many.ids
    assert tuple(index.sources) == many.sources
    assert index.find("part/77") == 77
    assert index.find("part/none") is None
    assert np.array_equal(index.vectors, many.vectors)


def test_it_is_made_once_and_anew_where_the_file_changed(many, tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    many.save(path)
    open_index(path)
    with monkeypatch.context() as patched:
        patched.setattr(opening, "load_embeddings", lambda path: pytest.fail("it is read"))
        open_index(path)
    made(seed=1).save(path)
    os.utime(path, ns=(1, 1))
    assert np.array_equal(open_index(path).vectors, made(seed=1).vectors)


def test_damage_is_told(many, tmp_path):
    path = tmp_path / "a.npz"
    many.save(path)
    open_index(path)
    (place_of(path) / "about.json").write_text("{}")
    with pytest.raises(UserError, match="delete it"):
        open_index(path)


def test_exact_goes_through_all(many, tmp_path):
    many.save(tmp_path / "a.npz")
    assert isinstance(open_index(tmp_path / "a.npz", exact=True), Embeddings)
    assert not place_of(tmp_path / "a.npz").exists()


def test_without_usearch_a_sentence_says_what_would_be_quicker(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "EXACT_UP_TO", 10)
    monkeypatch.setattr(opening.approximate, "is_available", lambda: False)
    made(20).save(tmp_path / "a.npz")
    told = []
    assert isinstance(open_index(tmp_path / "a.npz", tell=told.append), Embeddings)
    assert "pc-crvae[index]" in told[0]
    assert "20 vectors" in told[0]


def test_few_vectors_are_searched_exactly(tmp_path):
    made(20).save(tmp_path / "a.npz")
    told = []
    assert isinstance(open_index(tmp_path / "a.npz", tell=told.append), Embeddings)
    assert told == []


def test_rounding_is_as_coarse_as_the_recall_allows():
    assert approximate._precision(made().vectors) == "i8"
    rng = np.random.default_rng(0)
    close = 1 + 1e-4 * rng.normal(size=(2000, 32))
    assert approximate._precision(close.astype(np.float32)) != "i8"
