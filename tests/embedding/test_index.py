import importlib.util
import json
import sys
import zipfile

import numpy as np
import pytest
import torch

from helpers.fuzzing import flip_bits
from pc_crvae.embedding import index as index_module
from pc_crvae.embedding.cosine import unit_rows
from pc_crvae.embedding.index import About, CardSplit, Embeddings, embed_clouds, load_embeddings
from pc_crvae.errors import UserError

needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed (extra parquet)"
)
FORMATS = [".npz", pytest.param(".parquet", marks=needs_pyarrow)]
ABOUT = About(model_sha256="0" * 64, points=32, up="y")


def some(count=6, size=4, seed=0, about=ABOUT):
    return Embeddings(
        tuple(f"chair/é {row}.off" for row in range(count)),
        np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32),
        tuple(f"/shapes/{row}.off" for row in range(count)),
        about,
    )


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("data", [None, CardSplit(name="modelnet10", split="test", root="/x")])
def test_what_is_saved_is_loaded(tmp_path, suffix, data):
    saved = some(about=ABOUT.model_copy(update={"data": data}))
    path = tmp_path / "new" / f"index{suffix}"
    saved.save(path)
    loaded = load_embeddings(path)
    assert loaded.ids == saved.ids
    assert loaded.sources == saved.sources
    assert loaded.about == saved.about
    assert loaded.vectors.dtype == np.float32
    np.testing.assert_array_equal(loaded.vectors, saved.vectors)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_sources_of_a_data_set_may_be_empty_texts(tmp_path):
    saved = Embeddings(("a",), np.ones((1, 2), dtype=np.float32), ("",), ABOUT)
    saved.save(tmp_path / "index.npz")
    assert load_embeddings(tmp_path / "index.npz").sources == ("",)


def test_an_npz_file_opens_in_numpy_without_pickles(tmp_path):
    some().save(tmp_path / "index.npz")
    with np.load(tmp_path / "index.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"ids", "vectors", "sources", "about"}
        assert arrays["ids"][1] == "chair/é 1.off"
        assert json.loads(str(arrays["about"]))["model_sha256"] == "0" * 64


@needs_pyarrow
def test_a_parquet_file_opens_as_a_table(tmp_path):
    import pyarrow.parquet

    some().save(tmp_path / "index.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "index.parquet")
    assert table.column_names == ["id", "vector", "source"]
    np.testing.assert_array_equal(table["vector"][2].as_py(), some().vectors[2])


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UserError, match=r'pip install "pc-crvae\[parquet\]"'):
        some().save(tmp_path / "index.parquet")
    (tmp_path / "there.parquet").write_text("")
    with pytest.raises(UserError, match=r'pip install "pc-crvae\[parquet\]"'):
        load_embeddings(tmp_path / "there.parquet")


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"should end in \.npz or \.parquet"):
        some().save(tmp_path / "index.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": np.ones((6, 4))}, "float32"),
        ({"vectors": np.ones((6, 0), dtype=np.float32)}, "float32"),
        ({"vectors": np.ones((5, 4), dtype=np.float32)}, "5 vectors have 6 ids"),
        ({"vectors": np.full((6, 4), np.nan, dtype=np.float32)}, "finite"),
        ({"ids": ("a",) * 6}, "equal"),
        ({"sources": ()}, "0 sources"),
    ],
)
def test_embeddings_that_do_not_fit_together_are_refused(changes, message):
    parts = {name: getattr(some(), name) for name in ("ids", "vectors", "sources", "about")}
    with pytest.raises(ValueError, match=message):
        Embeddings(**(parts | changes))


def test_the_nearest_are_those_of_the_smallest_cosine_distance():
    index = some(count=40, size=5)
    queries = np.random.default_rng(1).normal(size=(7, 5))
    distances, rows = index.nearest(queries, 6)
    units = index.vectors / np.linalg.norm(index.vectors, axis=1, keepdims=True)
    cosines = queries / np.linalg.norm(queries, axis=1, keepdims=True) @ units.T
    expected = np.argsort(-cosines, axis=1)[:, :6]
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(distances, 1 - np.take_along_axis(cosines, expected, 1), atol=1e-6)


def test_a_vector_finds_itself_at_distance_0_and_equals_in_their_order():
    index = some(count=8, size=3)
    vectors = np.concatenate([index.vectors, index.vectors[::-1]])
    twice = Embeddings(tuple(map(str, range(16))), vectors, ("",) * 16, ABOUT)
    distances, rows = twice.nearest(index.vectors, 2)
    np.testing.assert_array_equal(rows, [[row, 15 - row] for row in range(8)])
    np.testing.assert_array_equal(distances, 0)


def test_vectors_that_hardly_differ_are_told_apart():
    base = np.array([1.0, 1.0, 1.0])
    steps = np.array([5, 1, 4, 2, 3])[:, None] * 3e-5 * np.array([1, -1, 0])
    vectors = (base + steps).astype(np.float32)  # cosines that single precision rounds to 1
    index = Embeddings(tuple("abcde"), vectors, ("",) * 5, ABOUT)
    for count in (5, 2):
        _, rows = index.nearest(base[None], count)
        np.testing.assert_array_equal(rows, [[1, 3, 4, 2, 0][:count]])


def test_no_more_hits_than_there_are_and_a_zero_vector_is_as_far_from_all():
    distances, rows = some().nearest(np.zeros((1, 4)), 50)
    assert rows.shape == (1, 6)
    np.testing.assert_allclose(distances, 0.5)
    for queries, count in ((np.ones((1, 3)), 1), (np.ones(4), 1), (np.ones((1, 4)), 0)):
        with pytest.raises(ValueError, match="expected queries"):
            some().nearest(queries, count)


def test_many_vectors_are_searched_as_exactly_as_few():
    vectors = np.random.default_rng(0).normal(size=(10_000, 64)).astype(np.float32)
    index = Embeddings(tuple(map(str, range(10_000))), vectors, ("",) * 10_000, ABOUT)
    distances, rows = index.nearest(vectors[[123, 9_999]], 5)
    units = unit_rows(vectors)
    for query, row in enumerate((123, 9_999)):
        exact = 1 - units @ units[row]
        np.testing.assert_array_equal(rows[query], np.argsort(exact, kind="stable")[:5])
        np.testing.assert_allclose(distances[query], np.sort(exact)[:5], atol=1e-12)
    assert distances[:, 0].tolist() == [0, 0]


@pytest.mark.parametrize("at_once", [1, 70, 10**6])
def test_blocks_of_queries_find_what_all_pairs_say(monkeypatch, at_once):
    monkeypatch.setattr(index_module, "_DISTANCES_AT_ONCE", at_once)
    index = some(count=30, size=5)
    queries = np.random.default_rng(1).normal(size=(7, 5))
    distances, rows = index.nearest(queries, 4)
    every = 1 - unit_rows(queries) @ unit_rows(index.vectors).T
    np.testing.assert_array_equal(rows, np.argsort(every, axis=1, kind="stable")[:, :4])
    np.testing.assert_allclose(distances, np.sort(every, axis=1)[:, :4], atol=1e-12)


def rewritten(path, **changes):
    """Write the members of an index again, some of them changed."""
    with np.load(path) as arrays:
        members = dict(arrays) | changes
    np.savez(path, **{name: array for name, array in members.items() if array is not None})


def about_with(**changes):
    about = {"format_version": 1, "pc_crvae_version": "0", **ABOUT.model_dump()} | changes
    return np.array(json.dumps(about))


DAMAGES = {
    "a missing array": ({"vectors": None}, "holds no array vectors"),
    "numbers for names": ({"ids": np.arange(6)}, "should be texts"),
    "too few names": ({"ids": np.array(["a", "b"])}, "2 ids"),
    "equal names": ({"ids": np.array(["a"] * 6)}, "equal"),
    "NaN": ({"vectors": np.full((6, 4), np.nan, dtype=np.float32)}, "finite"),
    "whole numbers": ({"vectors": np.ones((6, 4), dtype=np.int64)}, "float32"),
    "an empty array": ({"vectors": np.ones((0, 4), dtype=np.float32)}, "damaged"),
    "no description": ({"about": np.array("x")}, "does not say"),
    "a list for a description": ({"about": np.array("[1]")}, "does not say"),
    "an array of descriptions": ({"about": np.array(["x"])}, "should be texts"),
    "another format": ({"about": about_with(format_version=9)}, "format version 9"),
    "a wrong hash": ({"about": about_with(model_sha256="abc")}, "model_sha256"),
    "an unknown key": ({"about": about_with(metric="x")}, "metric is not a known key"),
    "no points": ({"about": about_with(points=0)}, "points"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_with_other_contents_is_refused_by_name(tmp_path, damage):
    changes, sentence = DAMAGES[damage]
    path = tmp_path / "index.npz"
    some().save(path)
    rewritten(path, **changes)
    with pytest.raises(UserError, match=r"index\.npz") as refusal:
        load_embeddings(path)
    assert sentence in str(refusal.value)


def test_a_pickle_inside_is_refused_unopened(tmp_path):
    path = tmp_path / "index.npz"
    some().save(path)
    rewritten(path, ids=np.array([print] * 6, dtype=object))
    with pytest.raises(UserError, match="Python objects"):
        load_embeddings(path)


def test_packed_members_are_refused_unopened(tmp_path):
    with np.load(some_file(tmp_path)) as arrays:
        np.savez_compressed(tmp_path / "packed.npz", **arrays)
    with pytest.raises(UserError, match=r"packed\.npz unpacks to"):
        load_embeddings(tmp_path / "packed.npz")


def some_file(folder):
    some().save(folder / "index.npz")
    return folder / "index.npz"


def test_a_header_that_promises_a_billion_vectors_takes_no_memory(tmp_path):
    path = some_file(tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    members["vectors.npy"] = members["vectors.npy"].replace(b"(6, 4), }    ", b"(999999999, 4),}")
    assert b"999999999" in members["vectors.npy"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(UserError, match="damaged"):
        load_embeddings(path)


@pytest.mark.slow
def test_random_damage_is_refused_or_harmless(tmp_path):
    content = bytearray(some_file(tmp_path).read_bytes())
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.npz"
    outcomes = set()
    for _ in range(400):
        damaged = content.copy()
        if rng.random() < 0.3:
            del damaged[rng.integers(len(damaged)) :]
        else:
            for place in rng.integers(len(damaged), size=rng.integers(1, 5)):
                damaged[place] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            outcomes.add(len(load_embeddings(path)))
        except UserError as error:
            outcomes.add("refused by name" if "damaged.npz" in str(error) else str(error))
    assert outcomes <= {"refused by name", 6}  # or whole
    assert "refused by name" in outcomes


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path, suffix):
    path = tmp_path / f"index{suffix}"
    saved = some(count=40)
    saved.save(path)

    def check_same(loaded):
        assert (loaded.ids, loaded.sources, loaded.about) == (saved.ids, saved.sources, ABOUT)
        np.testing.assert_array_equal(loaded.vectors, saved.vectors)

    refused = flip_bits(path, lambda: load_embeddings(path), check_same, count=300)
    assert refused > 100


@needs_pyarrow
def test_a_parquet_file_without_checksums_loads_as_before(tmp_path):
    import pyarrow.parquet

    path = tmp_path / "index.parquet"
    some().save(path)
    table = pyarrow.parquet.read_table(path)
    about = table.schema.metadata[b"pc_crvae"]
    pyarrow.parquet.write_table(table.replace_schema_metadata({b"pc_crvae": about}), path)
    np.testing.assert_array_equal(load_embeddings(path).vectors, some().vectors)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        load_embeddings(tmp_path / "gone.npz")


class Spread:
    """A stand-in for a model: the spread of each cloud; it needs 3 points."""

    def __init__(self, device="cpu"):
        self.device = torch.device(device)  # it is asked for its kind alone
        self.batches = []

    def vectors(self, clouds):
        self.batches.append(tuple(clouds.shape[:2]))
        if clouds.shape[1] < 3:
            raise ValueError("too small: this encoder needs 3")
        return clouds.std(dim=1) / (clouds.abs().amax(dim=(1, 2)) < 100)[:, None]


@pytest.mark.parametrize(
    ("device", "batches"),
    [
        ("cpu", [(16, 2)] + [(16, 5)] * 6 + [(16, 8)] * 3),
        ("cuda", [(16, 2), (32, 5), (48, 8), (64, 5)]),
    ],
)
def test_clouds_of_differing_counts_are_embedded_in_batches_of_equal_ones(device, batches):
    rng = np.random.default_rng(0)
    counts = [5, 8, 2, 5, 5, 8, 5, 5, 8, 5] * 16
    clouds = [rng.normal(size=(count, 3)).astype(np.float32) for count in counts]
    clouds[5] *= 1e6
    model = Spread(device)
    found = list(embed_clouds(model, iter(clouds)))
    assert sorted(place for place, _ in found) == list(range(160))
    for place, vector in found:
        if place % 10 == 2:
            assert "needs 3" in vector
        elif place == 5:
            assert "not finite" in vector
        else:
            alone = torch.from_numpy(clouds[place])[None]
            np.testing.assert_array_equal(vector, Spread().vectors(alone)[0].numpy())
    assert sorted(model.batches) == batches
