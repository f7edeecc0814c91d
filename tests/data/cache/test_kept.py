"""What is kept comes back as it was, or not at all."""

import sqlite3

import numpy as np
import pytest

from pc_crvae.data.cache.kept import open_kept
from pc_crvae.data.cache.store import NotKeptError
from pc_crvae.errors import UserError

VECTOR = np.arange(5, dtype=np.float32)


def test_a_row_that_was_changed_is_not_served(tmp_path):
    path = tmp_path / "kept"
    with open_kept(path) as rows:
        rows.put("a", ({"number": 1}, {}))
        rows.put("b", ({"number": 2}, {"vector": VECTOR}))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE kept SET content = ? WHERE key = 'a'", (b"three",))
    with open_kept(path) as rows:
        assert rows.get("a") is None
        assert rows.get("c") is None
        values, arrays = rows.get("b")
    assert values == {"number": 2}
    np.testing.assert_array_equal(arrays["vector"], VECTOR)


def test_a_file_that_is_no_store_is_told_and_removed(tmp_path):
    path = tmp_path / "kept"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(UserError, match="is removed: run the command again"), open_kept(path):
        pass
    with open_kept(path) as rows:
        assert rows.is_empty


def test_a_row_of_another_type_is_not_served(tmp_path):
    path = tmp_path / "kept"
    with open_kept(path) as rows:
        rows.put("a", ({"number": 1}, {}))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE kept SET content = 1")
    with open_kept(path) as rows:
        assert rows.get("a") is None


def test_a_row_that_is_no_text_is_damage_and_not_a_full_disk(tmp_path):
    path = tmp_path / "kept"
    with open_kept(path) as rows:
        rows.put("a", ({"number": 1}, {}))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE kept SET checksum = CAST(X'ff' AS TEXT)")
    removed = pytest.raises(UserError, match="is removed: run the command again")
    with removed, open_kept(path) as rows:
        rows.get("a")
    with open_kept(path) as rows:
        assert rows.is_empty


def test_a_folder_that_cannot_be_opened_is_not_called_damaged(tmp_path):
    (tmp_path / "kept").mkdir()
    with pytest.raises(NotKeptError, match="free some space"), open_kept(tmp_path / "kept"):
        pass
