"""What the sets of every modality share: named, perhaps labelled items in one array."""

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

_ITEMS_AT_ONCE = 512
_Scalar = TypeVar("_Scalar", bound=np.generic)
_Made = TypeVar("_Made", bound=np.generic, covariant=True)

_Items = TypeVar("_Items", bound="ItemSet")


@dataclass(frozen=True)
class Item:
    """One item of a set that keeps each in a file of its own.

    Attributes:
        path: the file.
        id: its name, unique within the split.
        label: index into the class names; None where unlabelled.
    """

    path: Path
    id: str
    label: int | None


class Listing(NamedTuple):
    """What a folder holds of one split, where each item has a file of its own.

    Attributes:
        items: those of the split, in a fixed order.
        classes: the class names, those of all splits; empty where there are no classes.
        passed_over: what belongs to no split, by the reason, such as ``of another kind``.
    """

    items: list[Item]
    classes: tuple[str, ...]
    passed_over: Mapping[str, tuple[Path, ...]] = MappingProxyType({})


@dataclass(frozen=True)
class Sample:
    """Points drawn from one shape, in the frame and scale of its file.

    Attributes:
        points: (P, 3).
        normals: (P, 3) unit vectors; None where there are none.
        repairs: how often each repair was made, by its name, such as ``degenerate faces``.
    """

    points: NDArray[np.floating[Any]]
    normals: NDArray[np.floating[Any]] | None
    repairs: dict[str, int]


@dataclass(frozen=True, eq=False)
class RawItems:
    """One split as its reader found it.

    Attributes:
        array: clouds (n, P, 3) of any real type, in the source's own frame and scale, every one
            finite and of some extent; or images (n, C, H, W) uint8.
        labels: (n,) int64, indices into ``classes``; None where unlabelled.
        classes: the class names.
        ids: (n,) names, unique within the split.
    """

    array: NDArray[Any]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    ids: tuple[str, ...]


class Rows(Protocol[_Made]):
    """What rows are picked from: an array, or what makes rows as they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(m, ...)."""

    @property
    def dtype(self) -> np.dtype[_Made]:
        """That of the rows."""

    def __getitem__(self, rows: Any) -> NDArray[_Made]: ...


class PickedRows(Generic[_Scalar]):
    """Some rows of an array, left where they lie: nothing is copied before it is asked for.

    Indexed it gives what an array of these rows would give; where the whole array is wanted,
    ``np.asarray`` makes it.

    Args:
        array: (m, ...), for example mapped from a file; or rows picked from it, of which some are.
        rows: (n,) indices into ``array``.
    """

    def __init__(self, array: Rows[_Scalar], rows: NDArray[np.int64]) -> None:
        if isinstance(array, PickedRows):
            rows, array = array._rows[rows], array._array
        self._array: Rows[_Scalar] = array
        self._rows: NDArray[np.int64] = rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, ...)."""
        return (len(self._rows), *self._array.shape[1:])

    @property
    def dtype(self) -> np.dtype[_Scalar]:
        """That of the array."""
        return self._array.dtype

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(
        self, index: int | np.integer | slice | NDArray[Any] | tuple[Any, ...]
    ) -> NDArray[_Scalar]:
        if not isinstance(index, tuple):
            return self._array[self._rows[index]]
        if index and isinstance(index[0], slice):
            picked, index = self._array[self._rows[index[0]]], (slice(None), *index[1:])
        else:
            picked = np.asarray(self)
        found: NDArray[_Scalar] = picked[index]
        return found

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        if copy is False:
            raise ValueError("rows picked from an array are an array only by a copy")
        picked = self._array[self._rows]
        return picked if dtype is None else picked.astype(dtype, copy=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class ItemSet(ABC):
    """One split of a data set; its arrays are read-only, and may lie in a mapped file.

    ``items[3]`` is one item as :meth:`item` gives it, iteration gives one after another, and
    ``items[10:20]`` or ``items[indices]`` is a set of some. PyTorch's ``DataLoader`` takes a set as
    it is and makes batches of its items.

    Attributes:
        name: the name of the data set.
        split: ``train``, ``validation`` or ``test``.
        labels: (n,) int64, indices into ``classes``; None where unlabelled.
        classes: the class names.
        ids: (n,) names, unique within the split.

    Raises:
        ValueError: an array has the wrong shape or type, or two ids are equal.
    """

    name: str
    split: str
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    ids: tuple[str, ...]

    holds: ClassVar[str]
    """The name of the field that holds the items."""

    companions: ClassVar[tuple[str, ...]] = ()
    """The names of further fields that have a row for each item, or are None."""

    @property
    def array(self) -> NDArray[Any] | PickedRows[Any]:
        """The items, (n, ...), under the name that every modality shares."""
        array: NDArray[Any] | PickedRows[Any] = getattr(self, self.holds)
        return array

    def __post_init__(self) -> None:
        if isinstance(self.array, np.ndarray):
            object.__setattr__(self, self.holds, read_only(self.array))
        if len(self.ids) != len(self.array) or len(set(self.ids)) != len(self.ids):
            raise ValueError("ids should be unique, one per item")
        if self.labels is not None:
            if self.labels.shape != self.array.shape[:1] or self.labels.dtype != np.int64:
                raise ValueError("labels should be int64, one per item")
            object.__setattr__(self, "labels", read_only(self.labels))

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.item(row) for row in range(len(self)))

    @overload
    def __getitem__(self, index: int | np.integer) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice | list[int] | NDArray[Any]) -> Self: ...
    def __getitem__(
        self, index: int | np.integer | slice | list[int] | NDArray[Any]
    ) -> dict[str, Any] | Self:
        if isinstance(index, int | np.integer):
            return self.item(range(len(self))[index])
        return self.subset(np.arange(len(self))[index])

    def __repr__(self) -> str:
        classes = f"{len(self.classes)} classes" if self.labels is not None else "unlabelled"
        present = [name for name in self.companions if getattr(self, name) is not None]
        having = "".join(f", with {name}" for name in present)
        return (
            f"<{type(self).__name__} {self.name}, {self.split}: {len(self):,} x "
            f"{self.array.shape[1:]} {self.array.dtype}{having}, {classes}>"
        )

    @abstractmethod
    def item(self, row: int) -> dict[str, Any]:
        """Return the item at ``row``: arrays of its own, its ``id``, and where labelled ``label``.

        Nothing in it is None, so that PyTorch's default collation makes batches of items.
        """
        item: dict[str, Any] = {"id": self.ids[row]}
        return item if self.labels is None else item | {"label": int(self.labels[row])}

    @abstractmethod
    def batch(
        self, indices: Sequence[int] | NDArray[np.int64], count: int, *key: int | str
    ) -> NDArray[np.float32]:
        """Return the items at ``indices`` as float32, items first.

        Args:
            indices: (b,) items of this set.
            count: the number of points taken from each cloud; images stay as they are.
            key: the values that fix which points, for example ``("points", seed, epoch)``.

        Returns:
            (b, count, 3) clouds or (b, C, H, W) images in [0, 1].

        Raises:
            UserError: the clouds have fewer than ``count`` points.
        """

    def class_of(self, row: int) -> str:
        """Return the name of an item's class; empty where there are no labels."""
        return "" if self.labels is None else self.classes[self.labels[row]]

    def one_of_each_class_first(self) -> NDArray[np.int64]:
        """Return all rows: one item of each class, in order, then a second one, and so on."""
        labels = np.zeros(len(self), dtype=int) if self.labels is None else self.labels
        rank = np.zeros(len(self), dtype=int)
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            rank[members] = np.arange(len(members))
        return np.argsort(rank, kind="stable")

    def subset(self, indices: Sequence[int] | NDArray[np.int64], split: str | None = None) -> Self:
        """Return the items at ``indices``, in that order, under the name ``split`` if given.

        It shares the array of this set and copies none of it.
        """
        rows = np.asarray(indices, dtype=np.int64)
        fields = {name: getattr(self, name) for name in (self.holds, *self.companions)}
        own: dict[str, Any] = {
            name: PickedRows(array, rows) for name, array in fields.items() if array is not None
        }
        labels = None if self.labels is None else self.labels[rows]
        ids = tuple(self.ids[row] for row in rows)
        return replace(self, **own, split=split or self.split, labels=labels, ids=ids)

    def of_epoch(self, epoch: int) -> "ItemSet":
        """Return what an epoch of training goes through: all of these items, in every one."""
        return self

    def fingerprint(self) -> str:
        """Return a SHA-256, in hex, over items, labels and ids: what the data is, not its name."""
        array = self.array
        digest = hashlib.sha256(repr((array.shape, self.ids)).encode())
        stored = array.dtype.newbyteorder("<")
        for start in range(0, len(self), _ITEMS_AT_ONCE):
            part = array[start : start + _ITEMS_AT_ONCE]
            digest.update(np.ascontiguousarray(part, dtype=stored).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, dtype="<i8").data)
        return digest.hexdigest()


def joined(parts: Sequence[_Items], split: str) -> _Items:
    """Return one set of the items of all ``parts``, in their order; their arrays are copied.

    Args:
        parts: sets of one kind, with the same classes and companions, labelled or not alike.
        split: its name.
    """
    first = parts[0]
    arrays: dict[str, Any] = {
        name: np.concatenate([np.asarray(getattr(part, name)) for part in parts])
        for name in (first.holds, *first.companions, "labels")
        if getattr(first, name) is not None
    }
    ids = tuple(name for part in parts for name in part.ids)
    return replace(first, **arrays, split=split, ids=ids)


def told_apart(names: Iterable[str]) -> Iterator[str]:
    """Yield names, a repeated one marked with how often it came by then, such as ``bed#2``."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}#{seen[name]}"


def read_only(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """Return a view of ``array`` that cannot be written through."""
    view = array.view()
    view.flags.writeable = False
    return view
