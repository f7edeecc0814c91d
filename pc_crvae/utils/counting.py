"""How what goes through many items is told how far it is: by default not at all."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Counting = Callable[[str, int], AbstractContextManager[Callable[[], None]]]
"""Given what is done and of how many, it gives what is called after each."""


def silent(what: str, total: int) -> AbstractContextManager[Callable[[], None]]:
    """Tell nothing."""
    return nullcontext(lambda: None)
