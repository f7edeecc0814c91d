"""Rows that no run asks for any more, which ``data prune`` removes."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pc_crvae.collection.store import mark_as_used, open_store, store_for, store_of
from pc_crvae.data.cache.kept import Kept
from pc_crvae.data.cache.pruning import prune
from pc_crvae.errors import UserError

DAY = 86_400
ROW = ({"of": "a file"}, {})


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "parts").mkdir()
    return store_of([tmp_path / "parts"])


def run_on(day: int, store: Path, monkeypatch: pytest.MonkeyPatch, *, puts: str, gets: str) -> int:
    """A run that puts and gets rows of one letter each; how many of these were there."""
    with monkeypatch.context() as patched:
        patched.setattr("pc_crvae.data.cache.kept.time.time", lambda: day * DAY + 1.0)
        with store_for([store.parents[2] / "parts"]) as rows:
            for key in puts:
                rows.put(key, ROW)
            return sum(rows.get(key) is not None for key in gets)


def keys(store: Path) -> str:
    with closing(sqlite3.connect(store)) as connection:
        return "".join(key for (key,) in connection.execute("SELECT key FROM kept ORDER BY key"))


def test_what_no_run_asks_for_goes(store: Path, monkeypatch: pytest.MonkeyPatch):
    run_on(0, store, monkeypatch, puts="abc", gets="")
    run_on(60, store, monkeypatch, puts="", gets="ab")
    assert prune().removed == []
    run_on(100, store, monkeypatch, puts="d", gets="a")
    (told,) = prune(dry_run=True).removed
    assert keys(store) == "abcd"
    assert "such as of files that are gone" in told.reason
    assert told.name == f"what is kept of {store.parents[2] / 'parts'}"
    assert prune().removed == [told]
    assert keys(store) == "abd"
    assert prune().removed == []
    assert run_on(101, store, monkeypatch, puts="", gets="abcd") == 3


def test_a_long_pause_makes_no_row_old_and_a_longer_one_removes_all(
    store: Path, monkeypatch: pytest.MonkeyPatch
):
    run_on(0, store, monkeypatch, puts="abc", gets="")
    assert prune().removed == []
    os.utime(store, (DAY, DAY))
    mark_as_used([store.parents[2] / "parts"])
    assert prune().removed == []
    os.utime(store, (DAY, DAY))
    (gone,) = prune().removed
    assert gone.reason == "not asked for in 90 days"
    assert not store.exists()
    mark_as_used([store.parents[2] / "parts"])


def test_a_run_that_was_stopped_makes_no_row_old(store: Path, monkeypatch: pytest.MonkeyPatch):
    def stop(rows: Kept, key: str) -> None:
        raise KeyboardInterrupt

    run_on(0, store, monkeypatch, puts="abc", gets="")
    monkeypatch.setattr(Kept, "get", stop)
    with pytest.raises(KeyboardInterrupt):
        run_on(100, store, monkeypatch, puts="d", gets="a")
    assert prune().removed == []
    assert keys(store) == "abcd"


def test_rows_of_an_earlier_version_stay(store: Path):
    store.parent.mkdir(parents=True)
    with closing(sqlite3.connect(store)) as connection:
        connection.execute(
            "CREATE TABLE kept "
            "(key TEXT PRIMARY KEY, content BLOB NOT NULL, checksum BLOB NOT NULL)"
        )
        connection.execute("INSERT INTO kept VALUES ('a', x'00', x'00')")
        connection.commit()
    assert prune().removed == []
    with open_store(store) as rows:
        rows.put("b", ROW)
    assert prune().removed == []
    assert keys(store) == "ab"


def test_a_busy_collection_is_named_by_its_folder(store: Path):
    folder = store.parents[2] / "parts"
    with store_for([folder]) as rows:
        rows.put("a", ROW)
        assert prune(everything=True).busy == [f"what is kept of {folder}"]
    assert keys(store) == "a"


def test_damage_is_left_to_the_next_run(store: Path):
    store.parent.mkdir(parents=True)
    store.write_bytes(b"x" * 5000)
    assert prune().removed == []
    assert store.exists()


def test_rows_that_cannot_be_removed_are_told_in_a_sentence(
    store: Path, monkeypatch: pytest.MonkeyPatch
):
    run_on(0, store, monkeypatch, puts="a", gets="")
    run_on(100, store, monkeypatch, puts="b", gets="")
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match=r"cannot be written \(database is locked\)"):
            prune()
    assert keys(store) == "ab"
