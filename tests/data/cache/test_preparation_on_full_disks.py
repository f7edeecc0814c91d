"""Preparation on a disk that is full, or a cache that cannot be written."""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from helpers.flaky_reader import COUNT
from helpers.preparing import entries, journal_of, reads, run
from pc_crvae.errors import UserError


def on_a_full_disk(path: Path, **options: Any) -> sqlite3.Connection:
    """A connection to a file of at most 20 kB."""
    connection = CONNECT(path, **options)
    connection.execute("PRAGMA max_page_count = 5")
    return connection


CONNECT = sqlite3.connect


@pytest.mark.usefixtures("in_this_process")
def test_a_full_disk_is_told_in_one_sentence_and_what_was_done_is_kept(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as full:
        full.setattr(sqlite3, "connect", on_a_full_disk)
        with pytest.raises(UserError, match=r"disk is full\): free some space") as caught:
            run(root)
    assert "goes on" in str(caught.value)
    done = len(reads(root))
    assert done >= 4
    assert journal_of(cache).exists()
    assert len(run(root).checked()) == COUNT
    assert len(reads(root)) <= done + COUNT - 3


@pytest.mark.usefixtures("in_this_process")
def test_a_disk_that_is_full_at_the_end_keeps_all_that_was_done(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="No space left on device"):
            run(root)
    assert entries(cache) == []
    assert len(run(root).checked()) == COUNT
    assert len(reads(root)) == COUNT


def test_a_cache_that_cannot_be_written_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "a file" / "cache"))
    with pytest.raises(UserError, match=r"cannot be written.*\$PC_CRVAE_CACHE"):
        run(root)
