"""A validation split cut from the training split, the same in every run."""

import hashlib
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError

_Items = TypeVar("_Items", bound=ItemSet)


def split_validation(train: _Items, fraction: float) -> tuple[_Items, _Items]:
    """Cut a validation split from ``train``: stratified by label, plain where unlabelled.

    Nothing is drawn: within a class the items are ordered by a hash of their ids, and the
    first ``fraction`` of them, rounded, go to validation. So an item's side depends neither on
    a seed nor on the order of the files. A class of two or more has items on both sides; a
    class of one stays in training. Where no class has two, the set is cut as an unlabelled one.

    Args:
        train: the whole training split.
        fraction: the share of each class to hold out, between 0 and 1, both excluded.

    Returns:
        Training and validation split, each in the order of ``train``.

    Raises:
        UserError: there are fewer than two items, so nothing can be held out.
        ValueError: ``fraction`` is out of range.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction should lie between 0 and 1, not {fraction}")
    strata = np.zeros(len(train), dtype=np.int64)
    if train.labels is not None and len(np.unique(train.labels)) < len(train):
        strata = train.labels
    held_out = np.zeros(len(train), dtype=bool)
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        held_out[_first_by_hash(train.ids, rows, _share(len(rows), fraction))] = True
    if not held_out.any():
        raise UserError(
            f"the training split of {train.name} is too small to hold any of it out for "
            f"validation: it has {len(train)}"
        )
    return (
        train.subset(np.flatnonzero(~held_out), "train"),
        train.subset(np.flatnonzero(held_out), "validation"),
    )


def _share(count: int, fraction: float) -> int:
    """Return how many of ``count`` to hold out, leaving at least one on each side if it can."""
    return min(max(round(fraction * count), 1), count - 1)


def _first_by_hash(ids: tuple[str, ...], rows: NDArray[np.int64], count: int) -> list[int]:
    return sorted(rows, key=lambda row: hashlib.sha256(ids[row].encode()).digest())[:count]
