"""Rows that were kept and that no run asks for any more, such as those of files that are gone."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from pc_crvae.data.cache.kept import DAYS_BETWEEN_MARKS, today
from pc_crvae.errors import told

MOST_DAYS = 90
"""That a row is kept while no run asks for it, and all rows while there is no run at all."""

_UNASKED = (
    f"asked + {MOST_DAYS + DAYS_BETWEEN_MARKS} <= (SELECT value FROM about WHERE name = 'ended')"
)
"""Counted back from the day of the last run, so that a long pause makes no row old."""


def size_of_unasked(path: Path) -> int:
    """Return how many bytes of a file of rows no run has asked for; 0 where that is not known."""
    with suppress(sqlite3.Error), _opened(path) as connection:
        found = connection.execute(f"SELECT sum(length(content)) FROM kept WHERE {_UNASKED}")
        return int(found.fetchone()[0] or 0)
    return 0


def drop_unasked(path: Path) -> None:
    """Remove what :func:`size_of_unasked` counts, and give the space back.

    Raises:
        UserError: the file cannot be written, or the disk is full.
    """
    remedy = "see whether the disk is full and the file may be changed, and prune again"
    telling = told(f"{path} cannot be written", sqlite3.Error, remedy=remedy)
    with telling, _opened(path, "rw") as connection:
        connection.execute(f"DELETE FROM kept WHERE {_UNASKED}")
        connection.execute("VACUUM")


def renew(path: Path) -> None:
    """Mark all rows of a file as asked for, where a run had no need to ask for each.

    Where they cannot be marked, they only count as old some time earlier.
    """
    with suppress(sqlite3.Error), _opened(path, "rw") as connection:
        connection.execute(
            "UPDATE kept SET asked = ? WHERE asked + ? <= ?",
            (today(), DAYS_BETWEEN_MARKS, today()),
        )


def places_of(path: Path) -> str | None:
    """Return the files and folders that the rows of a file are of; None where it does not say."""
    with suppress(sqlite3.Error), _opened(path) as connection:
        found = connection.execute("SELECT value FROM about WHERE name = 'places'").fetchone()
        return None if found is None else str(found[0])
    return None


def is_unused(path: Path) -> bool:
    """Whether there was no run for so long that all rows of a file may go."""
    return int(path.stat().st_mtime) // 86_400 + MOST_DAYS <= today()


@contextmanager
def _opened(path: Path, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=1)) as connection:
        yield connection
