"""A million short texts in two files, mapped rather than read: ids and paths of an index."""

import mmap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

_END = b"\0"
"""Ends each text; no path and no id holds it."""


class Texts(Sequence[str]):
    """Texts by their rows.

    Args:
        path: the file that :func:`write_texts` wrote; the places in it lie beside it.
    """

    def __init__(self, path: Path) -> None:
        self._ends = np.load(_places(path), mmap_mode="r", allow_pickle=False)
        with path.open("rb") as file:
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> list[str]: ...

    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self._at(each) for each in range(*row.indices(len(self)))]
        return self._at(range(len(self))[row])

    def find(self, text: str) -> int | None:
        """Return the first row that is a text; None where there is none."""
        wanted = text.encode(errors="surrogateescape") + _END
        if _END in wanted[:-1]:
            return None
        if self._content[: len(wanted)] == wanted:
            return 0
        place = self._content.find(_END + wanted)
        return None if place < 0 else int(np.searchsorted(self._ends, place, side="right"))

    def _at(self, row: int) -> str:
        start = int(self._ends[row - 1]) + 1 if row else 0
        return self._content[start : int(self._ends[row])].decode(errors="surrogateescape")


def write_texts(path: Path, texts: Iterable[str]) -> None:
    """Write texts, of which there is one at least, to a file and the places in it beside it."""
    ends: list[int] = []
    place = 0
    with path.open("wb") as file:
        for text in texts:
            content = text.encode(errors="surrogateescape") + _END
            file.write(content)
            place += len(content)
            ends.append(place - 1)
    np.save(_places(path), np.array(ends, dtype=np.int64))


def _places(path: Path) -> Path:
    return path.with_suffix(".npy")
