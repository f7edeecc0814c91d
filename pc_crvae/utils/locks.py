"""A lock that one process at a time holds, and the system takes back when its holder ends.

It is an flock on a file, so a process that is killed leaves nothing that keeps others out. The file
holds, as text, who has the lock, for the sentence that others get.
"""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pc_crvae.errors import UserError

_MOST_TEXT = 200  # bytes


class LockedError(UserError):
    """Another process holds the lock."""


@dataclass(frozen=True)
class Lock:
    """A lock that is held.

    Attributes:
        descriptor: of the lock's file, which a child process may hold too; None where there are no
            locks.
        note: that there are none, for the user; None where there are.
    """

    descriptor: int | None
    note: str | None = None


@contextmanager
def locked(path: Path, busy: str) -> Iterator[Lock]:
    """Hold a lock while the block runs; its file is there for as long.

    Where the system or the file system has no such locks, the block runs all the same, and the
    lock's note says so.

    Args:
        path: the lock's file, in a folder that is there.
        busy: the start of the sentence where another process holds it: who does so follows.

    Raises:
        LockedError: another process holds it.
        OSError: the file cannot be made.
    """
    if sys.platform == "win32":
        yield Lock(None, f"note: this system has no locks that keep others from {path.parent}")
        return
    descriptor = _made(path, busy)
    if descriptor is None:
        yield Lock(
            None,
            f"note: the file system of {path.parent} has no locks, so nothing keeps another "
            "process from writing there too",
        )
        return
    try:
        yield Lock(descriptor)
    finally:
        with suppress(OSError):  # of a folder that was removed meanwhile
            if _is_file_at(descriptor, path):
                path.unlink()
        os.close(descriptor)


def _made(path: Path, busy: str) -> int | None:
    """Return the descriptor of the locked file; None where there are no locks."""
    import fcntl

    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, _MOST_TEXT, 0).decode(errors="replace")
            os.close(descriptor)
            who = f" ({holder.strip()})" if holder.strip().isprintable() and holder.strip() else ""
            raise LockedError(f"{busy}{who}: wait for it or stop it") from None
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return None
        # The holder before may have removed the file between the two.
        if _is_file_at(descriptor, path):
            break
        os.close(descriptor)
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    os.ftruncate(descriptor, 0)
    os.pwrite(
        descriptor, f"process {os.getpid()} on {socket.gethostname()}, since {since}\n".encode(), 0
    )
    return descriptor


def _is_file_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
