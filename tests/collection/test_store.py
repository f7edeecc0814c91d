"""What is kept from run to run comes back as it was, or not at all."""

import sqlite3

import numpy as np
import pytest

from helpers.bent_shapes import bracket, triangles
from helpers.measured_shapes import shape
from pc_crvae.collection.store import key_of, open_store
from pc_crvae.errors import UserError

SHAPE = shape(triangles(bracket()), "a")
VECTOR = np.arange(5, dtype=np.float32)


def test_a_shape_comes_back_as_it_was(tmp_path):
    with open_store(tmp_path / "new" / "kept.sqlite") as store:
        store.put("key", SHAPE, VECTOR)
    with open_store(tmp_path / "new" / "kept.sqlite") as store:
        found = store.get("key")
        assert store.get("another") is None
    assert found is not None
    back, vector = found
    np.testing.assert_array_equal(vector, VECTOR)
    np.testing.assert_array_equal(back.points, SHAPE.points)
    np.testing.assert_array_equal(back.moments.covariance, SHAPE.moments.covariance)
    assert (back.box, back.volume, back.digest) == (SHAPE.box, SHAPE.volume, SHAPE.digest)


def test_a_row_that_was_changed_is_not_served(tmp_path):
    path = tmp_path / "kept.sqlite"
    with open_store(path) as store:
        store.put("key", SHAPE, VECTOR)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE shapes SET vector = ?", (VECTOR[::-1].tobytes(),))
    with open_store(path) as store:
        assert store.get("key") is None


def test_a_file_that_is_no_store_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "kept.sqlite"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(UserError, match="delete it"), open_store(path):
        pass


def test_a_key_depends_on_the_content_and_on_all_settings():
    keys = {key_of("a", {"up": "z"}), key_of("b", {"up": "z"}), key_of("a", {"up": "y"})}
    assert len(keys) == 3
    assert key_of("a", {"up": "z", "points": 3}) == key_of("a", {"points": 3, "up": "z"})


def test_what_was_made_comes_back_unless_it_was_changed(tmp_path):
    path = tmp_path / "kept.sqlite"
    with open_store(path) as store:
        store.put_made("a", b"one")
        store.put_made("b", b"two")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE made SET content = ? WHERE key = 'b'", (b"three",))
    with open_store(path) as store:
        assert store.get_made("a") == b"one"
        assert store.get_made("b") is None
        assert store.get_made("c") is None
