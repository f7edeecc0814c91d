"""The next item is made while the present one is used, and nothing else changes."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from pc_crvae.data.batches import prefetched


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not prefetch_threads()


def failing_after(items: int) -> Iterator[int]:
    yield from range(items)
    raise RuntimeError("could not be made")


@pytest.mark.parametrize("count", [0, 1, 100])
def test_items_come_in_their_order_and_the_thread_ends_with_them(count: int):
    assert list(prefetched(iter(range(count)))) == list(range(count))


def test_none_is_an_item_like_any_other():
    assert list(prefetched(iter([None, 0, None]))) == [None, 0, None]


def test_the_next_item_is_made_while_the_present_one_is_used():
    made = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    with closing(prefetched(items())) as ready:
        assert next(ready) == 0
        assert made[1].wait(timeout=600)
        assert not made[2].is_set()  # one ahead, no more


def test_items_are_made_on_one_thread_that_is_not_the_callers():
    names = list(prefetched(threading.current_thread().name for _ in range(5)))
    assert len(set(names)) == 1
    assert names[0].startswith("prefetch")


def test_what_making_an_item_raises_comes_out_in_its_place():
    ready = prefetched(failing_after(2))
    assert [next(ready), next(ready)] == [0, 1]
    with pytest.raises(RuntimeError, match="could not be made"):
        next(ready)


def test_nothing_is_made_before_the_first_item_is_asked_for():
    with closing(prefetched(failing_after(0))):
        assert not prefetch_threads()


@pytest.mark.parametrize("reason", [ValueError, KeyboardInterrupt])
def test_the_thread_ends_when_a_loop_is_left_by_an_exception(reason: type[BaseException]):
    def leave_early() -> None:
        with closing(prefetched(iter(range(100)))) as ready:
            for number in ready:
                if number == 3:
                    raise reason

    with pytest.raises(reason):
        leave_early()
