"""Workers that one task alone may lose time with, so that a busy machine costs no other."""

from typing import Any

import pytest

from pc_crvae.utils.workers import Worker


def give_up_on(task: Any, monkeypatch: pytest.MonkeyPatch, *, most_seconds: float) -> None:
    """Give one task so many seconds, and every other one as long as it likes."""
    ask = Worker.ask

    def asked(self: Worker, one: Any, _: float | None) -> Any:
        return ask(self, one, most_seconds if one == task else None)

    monkeypatch.setattr(Worker, "ask", asked)
