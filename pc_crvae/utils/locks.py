"""A lock that one process at a time holds, and the system takes back when its holder ends.

So a process that is killed leaves nothing that keeps others out. The lock's file holds, as text,
who has the lock, for the sentence that others get.
"""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pc_crvae.errors import UserError

_MOST_TEXT = 200  # characters
_SECONDS = 0.2
"""How long the lock is asked for: its file may be one that the holder before removes just now."""


class LockedError(UserError):
    """Another process holds the lock."""


@dataclass(frozen=True)
class Lock:
    """A lock that is held.

    Attributes:
        descriptor: the descriptor of the lock's file, which a child process may hold too; None
            where there are no locks.
        note: a sentence for the user where there are no locks; None where there are.
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
    if sys.platform == "win32":  # where nobody can read, or remove, a file that is locked
        yield Lock(None, f"note: this system has no locks that keep others from {path.parent}")
        return
    held: list[int] = []
    path.touch()
    lock = FileLock(path, timeout=_SECONDS, fallback_to_soft=False, on_acquired=held.append)
    try:
        lock.acquire()
    except Timeout:
        holder = path.read_text(errors="replace")[:_MOST_TEXT].strip() if path.exists() else ""
        who = f" ({holder})" if holder.isprintable() and holder else ""
        raise LockedError(f"{busy}{who}: wait for it or stop it") from None
    except (OSError, NotImplementedError):
        path.unlink(missing_ok=True)
        yield Lock(
            None,
            f"note: the file system of {path.parent} has no locks, so nothing keeps another "
            "process from writing there too",
        )
        return
    try:
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        holder = f"process {os.getpid()} on {socket.gethostname()}, since {since}\n"
        os.ftruncate(held[0], 0)
        os.pwrite(held[0], holder.encode(), 0)
        yield Lock(held[0])
    finally:
        # While it is held, so that who waits sees it go; its folder may have gone before.
        with suppress(OSError):
            if os.path.samestat(os.fstat(held[0]), path.stat()):
                path.unlink()
        lock.release()
