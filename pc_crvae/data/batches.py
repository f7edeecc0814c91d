"""From items of a set to the arrays that a model is given, made ahead of their use."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pc_crvae.data.clouds import CloudSet
from pc_crvae.data.images import ImageSet
from pc_crvae.data.items import ItemSet

_Item = TypeVar("_Item")


def batch_of(
    items: ItemSet, indices: Sequence[int] | NDArray[np.int64], points: int, *key: int | str
) -> NDArray[np.float32]:
    """Return the items at ``indices`` as float32, items first.

    Args:
        items: clouds or images.
        indices: (b,) items of the set.
        points: the number of points taken from each cloud, chosen anew for each ``key``; images
            stay as they are.
        key: the values that fix the choice, for example ``("points", seed, epoch)``.

    Returns:
        (b, points, 3) clouds or (b, C, H, W) images in [0, 1].

    Raises:
        UserError: the clouds have fewer than ``points`` points.
    """
    if isinstance(items, CloudSet):
        return items.batch(indices, points, *key)
    if isinstance(items, ImageSet):
        return items.batch(indices)
    raise TypeError(f"{type(items).__name__} is neither clouds nor images")


def prefetched(items: Iterator[_Item]) -> Generator[_Item]:
    """Yield ``items`` in their order, each made on a thread while the one before it is used.

    What making an item raises comes out where that item would have. The thread ends with the
    items or when the generator is closed, so a loop that may be left early closes it::

        with closing(prefetched(batches)) as ready:
            for batch in ready: ...

    Args:
        items: an iterator that the thread alone advances, at most one item ahead.
    """
    exhausted = object()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch") as thread:
        following = thread.submit(next, items, exhausted)
        while (item := following.result()) is not exhausted:
            following = thread.submit(next, items, exhausted)
            yield item  # type: ignore[misc]
