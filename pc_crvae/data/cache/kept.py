"""What was found of many files, kept in one file as it comes, so that none of it is done twice.

A row's key is what the row depends on, so nothing stale is ever found. A row carries its checksum,
and outlives the process that wrote it, however that ended.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from pc_crvae.data.cache.store import NotKeptError
from pc_crvae.errors import UserError
from pc_crvae.utils.workers import Found, pack, unpack

DAYS_BETWEEN_MARKS = 7
"""A row that is asked for is marked with the day, unless it was within so many."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (
    key TEXT PRIMARY KEY, content BLOB NOT NULL, checksum BLOB NOT NULL, asked INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value NOT NULL);
"""


def today() -> int:
    """Return the day, counted as those since 1970."""
    return int(time.time()) // 86_400


class Kept:
    """Plain values and arrays by their keys; open them with :func:`open_kept`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._today = today()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        return self._connection.execute("SELECT 1 FROM kept LIMIT 1").fetchone() is None

    def get(self, key: str) -> Found | None:
        """Return what is kept under a key; None where nothing is, or it is damaged."""
        query = "SELECT content, checksum, asked FROM kept WHERE key = ?"
        row = self._connection.execute(query, (key,)).fetchone()
        if row is None or not isinstance(row[0], bytes) or not isinstance(row[2], int):
            return None
        if _checksum(key, row[0]) != row[1]:
            return None
        if row[2] + DAYS_BETWEEN_MARKS <= self._today:
            self._note("UPDATE kept SET asked = ? WHERE key = ?", self._today, key)
        return unpack(row[0])

    def put(self, key: str, found: Found) -> None:
        """Keep plain values and arrays."""
        content = pack(*found)
        row = key, content, _checksum(key, content), self._today
        self._connection.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", row)

    def say(self, name: str, value: str | int) -> None:
        """Say something of all rows: their ``places``, or the day that a run ``ended`` on."""
        self._note("INSERT OR REPLACE INTO about VALUES (?, ?)", name, value)

    def _note(self, statement: str, *values: str | int) -> None:
        """Write what only `prune` reads: a run that knows everything needs no space for it."""
        with suppress(sqlite3.OperationalError):
            self._connection.execute(statement, values)


@contextmanager
def open_kept(path: Path) -> Iterator[Kept]:
    """Open the rows of a file, made if it is not there; no other process has it meanwhile.

    Raises:
        UserError: it cannot be written; or it is damaged, and was removed.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # What the system has outlives the process; only a power failure needs more.
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(_SCHEMA)
            if "asked" not in {row[1] for row in connection.execute("PRAGMA table_info(kept)")}:
                connection.execute(
                    f"ALTER TABLE kept ADD COLUMN asked INTEGER NOT NULL DEFAULT {today()}"
                )
            rows = Kept(connection)
            yield rows
            rows.say("ended", today())
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        # The general one comes of a content that makes no sense, the others from what is around it.
        if isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR:
            raise NotKeptError(
                f"{path} cannot be used ({error}): free some space, and the same command goes on "
                "from what is kept; or name another folder with $PC_CRVAE_CACHE, which begins anew"
            ) from error
        path.unlink()
        raise UserError(
            f"{path}, which kept what was read, was damaged ({error}) and is removed: run the "
            "command again, which reads the files anew"
        ) from error


def _checksum(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + content).digest()
