"""A validation split cut from the training split, the same in every run."""

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from pc_crvae.data.items import ItemSet
from pc_crvae.errors import UserError
from pc_crvae.utils.processes import is_main_process

_Items = TypeVar("_Items", bound=ItemSet)

_FEWEST = 4
"""Items of a set that can be cut into two and two."""


def split_validation(train: _Items, fraction: float) -> tuple[_Items, _Items]:
    """Cut a validation split from ``train``: stratified by label, or at random.

    Nothing is drawn: within a class the items are ordered by a hash of their ids, and the
    first ``fraction`` of them, rounded, go to validation. So an item's side depends neither on
    a seed nor on the order of the files. A class of two or more has items on both sides; a
    class of one stays in training.

    A set without labels is cut as one class, and so is one whose classes are so small that one
    item of each would be more than a third of the set, and more than twice the ``fraction``, or
    that fewer than two items would be held out. A warning says so. So cut, a set of
    four or more has at least two items on either side.

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
    rows: set[int] = set()
    if train.labels is not None:
        rows = held_out_rows(train.ids, train.labels.tolist(), fraction)
    if train.labels is None or _is_no_share(len(rows), len(train), fraction):
        least = 2 if len(train) >= _FEWEST else 1
        rows = held_out_rows(train.ids, [0] * len(train), fraction, least=least)
        if train.labels is not None and rows and is_main_process():
            warnings.warn(
                f"the {len(np.unique(train.labels))} classes of the {len(train)} items of "
                f"{train.name} are too small to hold out a share of each for validation, so "
                f"{len(rows)} items are held out at random",
                stacklevel=2,
            )
    if not rows:
        raise UserError(
            f"the training split of {train.name} is too small to hold any of it out for "
            f"validation: it has {len(train)}"
        )
    left = [row for row in range(len(train)) if row not in rows]
    return train.subset(left, "train"), train.subset(sorted(rows), "validation")


def _is_no_share(held_out: int, count: int, fraction: float) -> bool:
    """Whether so many of ``count`` items, cut by class, are not what ``fraction`` asks for."""
    too_many = held_out > max(count / 3, 2 * fraction * count)
    return too_many or held_out == 0 or (held_out < 2 and count >= _FEWEST)


def held_out_rows(
    ids: Sequence[str], strata: Sequence[int | str | None], fraction: float, *, least: int = 1
) -> set[int]:
    """Return the rows of the share of each stratum whose ids come first when sorted by a hash.

    Of a stratum of two or more at least ``least`` rows are held out, where it has more, and at
    least one is not; the row of a stratum of one is not held out.
    """
    members: defaultdict[int | str | None, list[int]] = defaultdict(list)
    for row, stratum in enumerate(strata):
        members[stratum].append(row)
    held_out: set[int] = set()
    for rows in members.values():
        count = min(max(round(fraction * len(rows)), least), len(rows) - 1)
        rows.sort(key=lambda row: hashlib.sha256(ids[row].encode()).digest())
        held_out.update(rows[:count])
    return held_out
