"""Prepared splits verified whole, and damaged entries removed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pc_crvae.data.cache.store import (
    DamagedEntryError,
    NotKeptError,
    alone,
    cache_folder,
    discard,
    open_entry,
    warn,
)
from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.images import ImageSet

_Items = TypeVar("_Items", bound=CloudSet | ImageSet)


def verified(load: Callable[[], _Items]) -> _Items:
    """Return the set that ``load`` gives, whose arrays are all as they were written, however large.

    Where they are not, a warning says so, and the set is prepared anew.

    Args:
        load: gives a set, mapped from its entry or not.

    Raises:
        UserError: from ``load``.
    """
    items = load()
    folder = entry_of(items)
    if folder is not None:
        try:
            open_entry(folder, verify=True)
        except DamagedEntryError:
            for damage in discard_damaged(items.name, items.split):
                warn(f"{damage}, so it is made anew")
            return load()
    return items


def require_undamaged(name: str, split: str) -> None:
    """Verify all that the entries of a split hold; damaged ones are removed, to be made anew.

    Raises:
        DamagedEntryError: one was damaged.
        NotKeptError: the cache folder cannot be written.
    """
    damaged = discard_damaged(name, split)
    if damaged:
        raise DamagedEntryError(
            f"{damaged[0]}, so it was removed: the same command prepares the data anew"
        )


def discard_damaged(name: str, split: str) -> list[DamagedEntryError]:
    """Verify all that the entries of a split hold, remove the damaged ones, and return which.

    Raises:
        NotKeptError: the cache folder cannot be written.
    """
    damaged: list[DamagedEntryError] = []
    try:
        cache = cache_folder()
    except NotKeptError:
        return damaged
    for folder in cache.glob(f"{name}-{split}-{'[0-9a-f]' * 16}-{'[0-9a-f]' * 16}"):
        try:
            open_entry(folder, verify=True)
        except DamagedEntryError:
            with alone(folder.with_name(folder.name.rpartition("-")[0])):
                try:  # again, as another process may have made it anew meanwhile
                    open_entry(folder, verify=True)
                except DamagedEntryError as damage:
                    discard(folder)
                    damaged.append(damage)
    return damaged


def entry_of(items: CloudSet | ImageSet) -> Path | None:
    """Return the folder of the entry that a set is mapped from, None where it lies in memory."""
    array: Any = items.array
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return None if array is None or array.filename is None else Path(array.filename).parent
