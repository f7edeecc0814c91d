"""A validation split cut from the training split, the same in every run."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

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
    strata = [0] * len(train)
    if train.labels is not None and len(np.unique(train.labels)) < len(train):
        strata = train.labels.tolist()
    held_out = np.zeros(len(train), dtype=bool)
    held_out[sorted(held_out_rows(train.ids, strata, fraction))] = True
    if not held_out.any():
        raise UserError(
            f"the training split of {train.name} is too small to hold any of it out for "
            f"validation: it has {len(train)}"
        )
    return (
        train.subset(np.flatnonzero(~held_out), "train"),
        train.subset(np.flatnonzero(held_out), "validation"),
    )


def held_out_rows(
    ids: Sequence[str], strata: Sequence[int | str | None], fraction: float
) -> set[int]:
    """Return the rows of the share of each stratum whose ids come first when sorted by a hash.

    A stratum of two or more has rows on both sides; the row of a stratum of one is not held out.
    """
    members: defaultdict[int | str | None, list[int]] = defaultdict(list)
    for row, stratum in enumerate(strata):
        members[stratum].append(row)
    held_out: set[int] = set()
    for rows in members.values():
        count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
        rows.sort(key=lambda row: hashlib.sha256(ids[row].encode()).digest())
        held_out.update(rows[:count])
    return held_out
