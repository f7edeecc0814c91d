"""Sets in the store: an entry that holds the items of a split, with their classes and ids."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pc_crvae.data.cache.sealed_files import read_record
from pc_crvae.data.cache.store import (
    RECORD,
    Draft,
    Entry,
    Key,
    NotKeptError,
    entries,
    obtain,
    stamp,
    warn,
    whole,
)
from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.images import ImageSet

_KINDS: dict[str, type[CloudSet] | type[ImageSet]] = {"points": CloudSet, "images": ImageSet}


def load_prepared(
    name: str,
    split: str,
    wanted: Mapping[str, Any],
    *,
    reader: int,
    sources: Callable[[], Iterable[Path]],
    prepare: Callable[[], CloudSet | ImageSet],
) -> CloudSet | ImageSet:
    """Return a split from its entry, its items mapped; prepare it and write the entry if need be.

    Where the entry cannot be written, a warning says so and the split stays in memory.

    Args:
        name: the name of the data set.
        split: the split of the data set.
        wanted: plain values that the result depends on, beside the sources.
        reader: the version of the reader.
        sources: the paths, whether there or not, that ``prepare`` looks at.
        prepare: makes the split from its sources.

    Raises:
        UserError: from ``sources`` and ``prepare``.
    """
    made: list[CloudSet | ImageSet] = []

    def draft() -> AbstractContextManager[Draft]:
        items = prepare()
        made.append(items)
        arrays = {items.holds: whole(np.asarray(items.array))}
        if items.labels is not None:
            arrays["labels"] = whole(items.labels)
        content = {"sources": key.sources, "classes": list(items.classes), "ids": list(items.ids)}
        return nullcontext(Draft(arrays, content))

    try:
        # Stamped before they are read: what changes meanwhile has another stamp at the next load.
        key = Key(name, split, wanted, reader, None)
        key = replace(key, sources=_stamps(key, sources))
        return obtain(key, draft, lambda entry: as_item_set(entry, name, split))[0]
    except NotKeptError as error:
        warn(f"prepared data is not kept, so each start prepares it anew: {error}")
        return made[0] if made else prepare()


def as_item_set(entry: Entry, name: str, split: str) -> CloudSet | ImageSet:
    """Return the set that an entry holds, whose content names ``classes`` and ``ids``.

    Raises:
        ValueError, KeyError, TypeError: it holds none.
    """
    holds = next(iter(entry.arrays))
    kind = _KINDS[holds]
    companions = {name: entry.arrays[name] for name in kind.companions if name in entry.arrays}
    return kind(
        **{holds: entry.arrays[holds]},
        **companions,
        name=name,
        split=split,
        labels=entry.arrays.get("labels"),
        classes=tuple(entry.content["classes"]),
        ids=tuple(entry.content["ids"]),
    )


def _stamps(key: Key, sources: Callable[[], Iterable[Path]]) -> list[list[Any]]:
    """Stamp the sources: those of an entry, if all are as they were when it was made, else anew."""
    for folder in entries(key.place):
        with suppress(OSError, ValueError, KeyError):  # of a damaged one, which obtain tells
            kept: list[list[Any]] = read_record(folder / RECORD)["sources"]
            if replace(key, sources=kept).folder == folder and all(
                stamp(Path(path)) == stamped for path, stamped in kept
            ):
                return kept
    return [[str(path), stamp(path)] for path in sources()]
