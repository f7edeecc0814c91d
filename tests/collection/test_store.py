"""What is kept from run to run comes back as it was, or not at all."""

import sqlite3

import numpy as np
import pytest

from helpers.bent_shapes import bracket, triangles
from helpers.measured_shapes import shape
from pc_crvae.collection.file_rows import FileRows
from pc_crvae.collection.store import key_of, open_store
from pc_crvae.embedding.index import About
from pc_crvae.errors import UserError

ABOUT = About(model_sha256="0" * 64, points=8, up="z")
SHAPE = shape(triangles(bracket()), "a")
VECTOR = np.arange(5, dtype=np.float32)


def test_a_shape_comes_back_as_it_was(tmp_path):
    path = tmp_path / "a.off"
    path.touch()
    with open_store(tmp_path / "new" / "kept.sqlite") as store:
        assert store.is_empty
        FileRows(store, path, ABOUT, drop_nan=False).keep(SHAPE, VECTOR)
    with open_store(tmp_path / "new" / "kept.sqlite") as store:
        found = FileRows(store, path, ABOUT, drop_nan=False)
        back, vector = found.shape, found.vector
        assert found.refusal is None
        assert FileRows(store, path, ABOUT, drop_nan=True).vector is None
        path.write_text("changed")
        assert FileRows(store, path, ABOUT, drop_nan=False).vector is None
    assert back is not None
    np.testing.assert_array_equal(vector, VECTOR)
    np.testing.assert_array_equal(back.points, SHAPE.points)
    np.testing.assert_array_equal(back.moments.covariance, SHAPE.moments.covariance)
    assert (back.box, back.volume, back.digest) == (SHAPE.box, SHAPE.volume, SHAPE.digest)


def test_a_row_that_was_changed_is_not_served(tmp_path):
    path = tmp_path / "kept.sqlite"
    with open_store(path) as store:
        store.put("a", ({"number": 1}, {}))
        store.put("b", ({"number": 2}, {"vector": VECTOR}))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE kept SET content = ? WHERE key = 'a'", (b"three",))
    with open_store(path) as store:
        assert store.get("a") is None
        assert store.get("c") is None
        values, arrays = store.get("b")
    assert values == {"number": 2}
    np.testing.assert_array_equal(arrays["vector"], VECTOR)


def test_a_file_that_is_no_store_is_told_and_removed(tmp_path):
    path = tmp_path / "kept.sqlite"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(UserError, match="is removed: run the command again"), open_store(path):
        pass
    with open_store(path) as store:
        assert store.is_empty


def test_a_key_depends_on_the_content_and_on_all_settings():
    keys = {key_of("a", {"up": "z"}), key_of("b", {"up": "z"}), key_of("a", {"up": "y"})}
    assert len(keys) == 3
    assert key_of("a", {"up": "z", "points": 3}) == key_of("a", {"points": 3, "up": "z"})
