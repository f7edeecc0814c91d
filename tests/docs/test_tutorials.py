"""Every command of a tutorial that stands in a block marked ``sh`` works, in the page's order."""

import os
import re
import subprocess
import sys

import pytest

from pc_crvae.utils.resources import checkout_folder

CHECKOUT = checkout_folder()
TUTORIALS = sorted((CHECKOUT / "docs" / "tutorials").glob("*.md")) if CHECKOUT else []
pytestmark = pytest.mark.skipif(CHECKOUT is None, reason="an installed package has no documents")


def commands(page) -> str:
    return "".join(re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder in which the commands find the checkout's scripts, and `pc-crvae` is this one."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, arguments in (("pc-crvae", "-m pc_crvae"), ("python", "")):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        program.chmod(0o755)
    for name in ("docs", "examples"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    return tmp_path


def test_some_tutorials_have_commands():
    assert sum(bool(commands(page)) for page in TUTORIALS) >= 6


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in TUTORIALS if commands(page)], ids=lambda page: page.stem
)
def test_the_commands_of_a_tutorial_run_in_their_order(page, place):
    if page.stem == "images":
        pytest.importorskip("kornia", reason="needs kornia: pip install pc-crvae[images]")
    done = subprocess.run(
        ["sh", "-e", "-c", commands(page)], cwd=place, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
