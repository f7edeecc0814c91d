"""A cache of each test's own, and a folder of meshes to prepare."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers import mesh_writers as write
from helpers.flaky_reader import COUNT
from pc_crvae.data.cache import preparation, workers
from pc_crvae.errors import UserError

TESTS = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own; workers find the reader of the tests."""
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    return tmp_path / "cache"


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are read here, where no worker takes time to start."""

    def draw_shapes(tasks: list[workers.Task], *how: Any) -> Iterator[object]:
        for task in tasks:
            try:
                yield task, workers.draw_shape(task, *how[:2])
            except UserError as error:
                yield task, error

    monkeypatch.setattr(preparation, "draw_shapes", draw_shapes)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "own" / "meshes"
    folder.mkdir(parents=True)
    for number in range(COUNT):
        stretch = np.array([(1, 0, 0), (0, 1 + number, 0), (0, 0, 1)])
        mesh = write.pyramid().apply_transform(np.pad(stretch, (0, 1)) + np.diag((0, 0, 0, 1)))
        (folder / f"shape_{number:02d}.off").write_bytes(mesh.export(file_type="off").encode())
    return folder
