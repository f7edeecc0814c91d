"""What an exploration is called, and what it tells of compiling."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pc_crvae.collection.explore import default_out


def test_it_is_called_by_the_name_that_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    target = tmp_path / "parts-2024"
    (target / "rods").mkdir(parents=True)
    link = tmp_path / "parts"
    link.symlink_to(target)
    monkeypatch.chdir(target)
    for place, name in [
        (link, "parts"),
        (target, "parts-2024"),
        (Path(), "parts-2024"),
        (Path("rods/.."), "parts-2024"),
        (link / "rods" / "..", "parts-2024"),
        (Path("/"), "root"),
    ]:
        assert default_out([place]) == Path("explore") / name


@pytest.mark.slow
def test_compiling_for_comparisons_is_told_once(tmp_path: Path):
    script = "from pc_crvae.collection.kernels import compile_kernels; compile_kernels()"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    told = [
        subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        ).stderr.decode()
        for _ in range(2)
    ]
    assert told[0].count("compiling kernels for this processor, once") == 1
    assert told[1] == ""
