"""What was read, embedded and compared, kept from run to run in one file for the places it is of.

A row's key is what the row depends on: the state of a file, or its bytes wherever it lies, with the
model, the points drawn and the axis that is up.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pc_crvae.data.cache import store as cache
from pc_crvae.data.cache.kept import Kept, open_kept
from pc_crvae.data.cache.unasked import renew
from pc_crvae.data.formats.registry import files_read_with
from pc_crvae.errors import printable

FORMAT = 3
"""Raise it where what a row holds of the same file changes."""


def store_of(places: Sequence[Path]) -> Path:
    """Return the file, in the cache folder, that keeps what is read of files and folders.

    Raises:
        NotKeptError: there is no cache folder.
    """
    resolved = sorted(str(place.resolve()) for place in places)
    digest = hashlib.sha256(json.dumps(resolved).encode()).hexdigest()[:16]
    return cache.cache_folder() / cache.COLLECTIONS / f"{digest}.sqlite"


@contextmanager
def open_store(path: Path, tell: Callable[[str], None] = lambda text: None) -> Iterator[Kept]:
    """Open a store, made if it is not there. While a process has it, others wait.

    Args:
        path: its file.
        tell: is told that another process is waited for.

    Raises:
        UserError: as :func:`~pc_crvae.data.cache.kept.open_kept`.
    """
    sentence = "another process reads the same shapes: waiting for it"
    with cache.alone(path.with_suffix(""), lambda _: tell(sentence)), open_kept(path) as rows:
        yield rows


@contextmanager
def store_for(
    places: Sequence[Path], tell: Callable[[str], None] = lambda text: None
) -> Iterator[Kept]:
    """Open the store of files and folders, which says whose it is; as :func:`open_store`."""
    with open_store(store_of(places), tell) as rows:
        more = f" and {len(places) - 1:,} more" if len(places) > 1 else ""
        rows.say("places", printable(f"{places[0].resolve()}{more}"))
        yield rows


def mark_as_used(places: Sequence[Path]) -> None:
    """Note that what a store keeps is still of use, though nothing had to be asked for."""
    # It may be gone, and then there is nothing to be noted.
    with suppress(OSError, cache.NotKeptError):
        store = store_of(places)
        if store.is_file():
            renew(store)
            os.utime(store)


def state_of(path: Path) -> str:
    """Return what changes when a file does, or another that is read with it: sizes and times."""
    stamps = [[str(file), cache.stamp(file)] for file in (path, *files_read_with(path))]
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest()


def key_of(source: str, settings: dict[str, Any]) -> str:
    """Return the key of a file's state or content, and of all else that its row depends on."""
    text = json.dumps([FORMAT, cache.FORMAT, source, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
