"""What was read, embedded and compared, kept from run to run in one file for the places it is of.

A row's key is what the row depends on: the state of a file, or its bytes wherever it lies, with the
model, the points drawn and the axis that is up. So nothing stale is ever found. A row carries its
checksum, and outlives the process that wrote it, however that ended.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pc_crvae.data.cache import store as cache
from pc_crvae.data.formats.registry import files_read_with
from pc_crvae.errors import UserError
from pc_crvae.utils.workers import Found, pack, unpack

FORMAT = 2
"""Raise it where what a row holds of the same file changes."""


class Store:
    """Rows by their keys; open it with :func:`open_store`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        return self._connection.execute("SELECT 1 FROM kept LIMIT 1").fetchone() is None

    def get(self, key: str) -> Found | None:
        """Return what is kept under a key; None where nothing is, or it is damaged."""
        row = self._connection.execute(
            "SELECT content, checksum FROM kept WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None or _checksum(key, row[0]) != row[1] else unpack(row[0])

    def put(self, key: str, found: Found) -> None:
        """Keep plain values and arrays."""
        content = pack(*found)
        self._connection.execute(
            "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (key, content, _checksum(key, content))
        )


def store_of(places: Sequence[Path]) -> Path:
    """Return the file, in the cache folder, that keeps what is read of files and folders.

    Raises:
        NotKeptError: there is no cache folder.
    """
    resolved = sorted(str(place.resolve()) for place in places)
    digest = hashlib.sha256(json.dumps(resolved).encode()).hexdigest()[:16]
    return cache.cache_folder() / cache.COLLECTIONS / f"{digest}.sqlite"


@contextmanager
def open_store(path: Path, tell: Callable[[str], None] = lambda text: None) -> Iterator[Store]:
    """Open a store, made if it is not there. While a process has it, others wait.

    Args:
        path: its file.
        tell: is told that another process is waited for.

    Raises:
        UserError: it cannot be written; or it is damaged, and was removed.
    """
    with cache.alone(path.with_suffix(""), tell):
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                # What the system has outlives the process; only a power failure needs more.
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, content BLOB NOT NULL, "
                    "checksum TEXT NOT NULL)"
                )
                yield Store(connection)
        except sqlite3.OperationalError as error:
            raise cache.NotKeptError(
                f"{path} cannot be used ({error}): free some space, or name another folder with "
                "$PC_CRVAE_CACHE"
            ) from error
        except sqlite3.DatabaseError as error:
            path.unlink()
            raise UserError(
                f"{path}, which kept what was read, was damaged ({error}) and is removed: run the "
                "command again, which reads the shapes anew"
            ) from error


def state_of(path: Path) -> str:
    """Return what changes when a file does, or another that is read with it: sizes and times."""
    stamps = [[str(file), cache.stamp(file)] for file in (path, *files_read_with(path))]
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()


def key_of(source: str, settings: dict[str, Any]) -> str:
    """Return the key of a file's state or content, and of all else that its row depends on."""
    text = json.dumps([FORMAT, cache.FORMAT, source, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(key: str, content: bytes) -> str:
    return hashlib.sha256(key.encode() + content).hexdigest()
