"""How far a command is that goes through many items: a bar with the time left, or plain lines."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SECONDS_BETWEEN_LINES = 30.0


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Yield a function to call after each item, which tells on standard error how far it is.

    A terminal shows a bar, or of a single item a spinner; elsewhere a line is written every half
    a minute.

    Args:
        what: a word or two for what the command does.
        total: the number of items.
    """
    # Imported here, so that commands that count nothing do not wait for it.
    from rich.console import Console

    from pc_crvae.utils.progress import hours_minutes_seconds, items_bar, spinner

    console = Console(stderr=True)
    progress = items_bar(console, transient=True) if total > 1 else spinner(console)
    bar = progress.add_task(what, total=total)
    started = told = time.monotonic()
    done = 0

    def advance() -> None:
        nonlocal done, told
        done += 1
        progress.advance(bar)
        now = time.monotonic()
        if not console.is_terminal and now - told >= _SECONDS_BETWEEN_LINES and done < total:
            told = now
            left = hours_minutes_seconds(round((now - started) / done * (total - done)))
            console.print(f"{what} {done:,} of {total:,}, left {left}", soft_wrap=True)

    with progress:
        yield advance
