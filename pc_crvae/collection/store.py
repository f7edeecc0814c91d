"""What was read and embedded, kept from run to run in one file, so that none of it is done twice.

A row's key is what it depends on: the bytes of the shape's file, the model, the points drawn, the
axis that is up. So nothing stale is ever found, wherever a file was moved to, and an interrupted
run goes on where it was. A row carries its checksum.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pc_crvae.collection.shapes import KEPT_POINTS, Shape, shape_of, values_of
from pc_crvae.errors import UserError

FORMAT = 2
"""Raise it where what a row holds of the same file changes."""

_SECONDS_A_COMMIT = 1.0

Kept = tuple[Shape, NDArray[np.float32]]
"""A shape and its vector."""


class Store:
    """Rows by their keys; open it with :func:`open_store`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._committed = time.monotonic()

    def get(self, key: str) -> Kept | None:
        """Return what is kept under a key; None where nothing is, or it is damaged."""
        row = self._connection.execute(
            "SELECT about, points, vector, checksum FROM shapes WHERE key = ?", (key,)
        ).fetchone()
        if row is None or _checksum(key, row[0].encode(), *row[1:3]) != row[3]:
            return None
        about, points, vector = row[:3]
        return shape_of(json.loads(about), np.frombuffer(points, dtype="<f4")), np.frombuffer(
            vector, dtype="<f4"
        )

    @property
    def has_shapes(self) -> bool:
        """Whether any shape is kept."""
        return self._connection.execute("SELECT 1 FROM shapes LIMIT 1").fetchone() is not None

    def put(self, key: str, shape: Shape, vector: NDArray[np.float32]) -> None:
        """Keep a shape and its vector (d,)."""
        about = json.dumps(values_of(shape))
        points = shape.points.astype("<f4").tobytes()
        stored = np.ascontiguousarray(vector, dtype="<f4").tobytes()
        checksum = _checksum(key, about.encode(), points, stored)
        self._connection.execute(
            "INSERT OR REPLACE INTO shapes VALUES (?, ?, ?, ?, ?)",
            (key, about, points, stored, checksum),
        )
        self._commit_in_time()

    def get_made(self, key: str) -> bytes | None:
        """Return what was made under a key; None where nothing was, or it is damaged."""
        row = self._connection.execute(
            "SELECT content, checksum FROM made WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None or _checksum(key, row[0]) != row[1] else row[0]

    def put_made(self, key: str, content: bytes) -> None:
        """Keep what was made of shapes, such as the comparison of two."""
        self._connection.execute(
            "INSERT OR REPLACE INTO made VALUES (?, ?, ?)", (key, content, _checksum(key, content))
        )
        self._commit_in_time()

    def commit(self) -> None:
        """Have what was put outlast the process."""
        self._connection.commit()
        self._committed = time.monotonic()

    def _commit_in_time(self) -> None:
        if time.monotonic() - self._committed >= _SECONDS_A_COMMIT:
            self.commit()


@contextmanager
def open_store(path: Path) -> Iterator[Store]:
    """Open the store of a folder, made if it is not there.

    Raises:
        UserError: it cannot be written, or is damaged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS shapes (key TEXT PRIMARY KEY, about TEXT NOT NULL, "
                "points BLOB NOT NULL, vector BLOB NOT NULL, checksum TEXT NOT NULL)"
            )
            connection.execute(
                "CREATE TABLE IF NOT EXISTS made (key TEXT PRIMARY KEY, content BLOB NOT NULL, "
                "checksum TEXT NOT NULL)"
            )
            store = Store(connection)
            try:
                yield store
            finally:
                store.commit()
    except sqlite3.DatabaseError as error:
        raise UserError(
            f"{path}, which keeps what was read, cannot be used ({error}): delete it, and the "
            "shapes are read anew"
        ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from error


def key_of(digest: str, settings: dict[str, Any]) -> str:
    """Return the key of a file's content and of all else that its row depends on."""
    text = json.dumps([FORMAT, KEPT_POINTS, digest, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _checksum(key: str, *parts: bytes) -> str:
    digest = hashlib.sha256(key.encode())
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()
