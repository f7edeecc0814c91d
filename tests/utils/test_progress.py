"""What training shows on a terminal and without one."""

import io

import pytest
from rich.console import Console

from pc_crvae.utils.progress import TrainingProgress, items_bar, spinner

TERMS = {"objective": -3.0, "transformed/kl": 1.0, "kl": 2.0}


def shown(capsys: pytest.CaptureFixture[str], **options: bool) -> str:
    progress = TrainingProgress(total=10, done=4, **options)
    with progress.live():
        progress.show("epoch 1/2", TERMS, items_per_second=123.4)
        progress.advance()
        progress.say("a line [of] text")
    return capsys.readouterr().out


def test_a_terminal_shows_step_speed_time_left_and_terms_of_the_first_pass_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(capsys)
    assert "5/10" in text
    assert "123 items/s left" in text
    assert "objective -3  kl 2  transformed/kl 1" in text
    assert "a line [of] text" in text


def test_without_a_terminal_only_lines_are_printed(capsys: pytest.CaptureFixture[str]):
    assert shown(capsys) == "a line [of] text\n"


def test_a_process_that_is_not_the_first_shows_nothing(capsys: pytest.CaptureFixture[str]):
    assert shown(capsys, quiet=True) == ""


def test_time_left_is_the_mean_pace_of_this_process_times_the_steps_left(
    monkeypatch: pytest.MonkeyPatch,
):
    now = [100.0]
    monkeypatch.setattr("pc_crvae.utils.progress.time.monotonic", lambda: now[0])
    progress = TrainingProgress(total=3610, done=5, quiet=True)
    for _ in range(5):
        progress.advance()
    now[0] += 10.0
    assert progress.time_left() == "2:00:00"


@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_bar_of_items_shows_on_a_terminal_alone(on_terminal: bool):
    written = io.StringIO()
    progress = items_bar(Console(file=written, force_terminal=on_terminal, width=80))
    bar = progress.add_task("reading", total=5, completed=2)
    with progress:
        progress.advance(bar)
    assert ("3/5" in written.getvalue()) is on_terminal
    assert ("reading" in written.getvalue()) is on_terminal


@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_job_without_parts_is_named_on_a_terminal_alone(on_terminal: bool):
    written = io.StringIO()
    shown = spinner(Console(file=written, force_terminal=on_terminal, width=80))
    shown.add_task("grouping", total=1)
    with shown:
        pass
    assert ("grouping" in written.getvalue()) is on_terminal
