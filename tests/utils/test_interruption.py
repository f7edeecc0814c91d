"""SIGINT waits for the end of an import, and acts at once elsewhere."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pc_crvae.utils.interruption import no_interrupt_within_imports

_MODULE = """
import os, signal, time
os.kill(os.getpid(), signal.SIGINT)
time.sleep(0.2)  # while it is made, as a slow module in C
ended = True
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "interrupted_while_imported"
    (tmp_path / f"{name}.py").write_text(_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.fixture(autouse=True)
def python_s_own_handler() -> Iterator[None]:
    """What a command starts with, whatever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _wait() -> None:
    threading.Event().wait(10)


def test_an_interrupt_waits_for_the_end_of_an_import(module: str) -> None:
    def import_it() -> None:
        with no_interrupt_within_imports():
            __import__(module)
            _wait()

    with pytest.raises(KeyboardInterrupt):
        import_it()
    assert sys.modules[module].ended


def test_without_it_the_import_is_torn(module: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        __import__(module)
    assert module not in sys.modules


def test_an_interrupt_elsewhere_acts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), no_interrupt_within_imports():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_callers_stays() -> None:
    seen = []
    signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    with no_interrupt_within_imports():
        signal.raise_signal(signal.SIGINT)
    assert seen == [signal.SIGINT]


def test_other_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def enter() -> None:
        with no_interrupt_within_imports():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]


def test_ctrl_c_during_the_imports_of_a_command_ends_it_in_a_word(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(_INTERRUPT_AT_ARGPARSE)
    command = [sys.executable, "-m", "pc_crvae", "train", "no-such-config"]
    environment = {"PYTHONPATH": f"{tmp_path}:{Path.cwd()}", "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (130, "")


_INTERRUPT_AT_ARGPARSE = """
import sys
class Finder:
    def find_spec(self, name, *rest):
        if name == "argparse":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
"""
