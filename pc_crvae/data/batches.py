"""Batches made ahead of their use."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


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
