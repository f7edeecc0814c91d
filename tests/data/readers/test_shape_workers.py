"""Files read by several processes: as in one, in their order, and what ends a reader is named."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.patience import give_up_on
from pc_crvae.data.readers import shape_workers
from pc_crvae.data.readers.shape_files import load_shape
from pc_crvae.data.readers.shape_workers import prepare_clouds, read_clouds, read_each
from pc_crvae.errors import MissingPackageError, UserError

TESTS = Path(__file__).parents[2]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    made = []
    for k in range(12):
        path = tmp_path / f"{k:02d}.off"
        path.write_text(
            f"OFF\n4 4 0\n0 0 0\n{k + 1} 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 1 2 3\n3 0 3 2\n"
        )
        made.append(path)
    made[5].write_text("OFF\nnothing")
    return made


def test_several_processes_give_what_one_does(paths):
    assert len(paths) > shape_workers.FEW
    found = list(read_clouds(paths, 100, "z"))
    for path, cloud in zip(paths, found, strict=True):
        if path == paths[5]:
            assert isinstance(cloud, UserError)
            assert str(path) in str(cloud)
        else:
            assert np.array_equal(cloud, load_shape(path, 100, "z"))


def test_what_was_left_out_is_told(paths):
    points = np.random.default_rng(0).normal(size=(20, 3))
    points[3] = np.nan
    cloud = paths[0].with_name("cloud.npy")
    np.save(cloud, points.astype(np.float32))
    told: list[int] = []
    found = list(read_clouds([*paths, cloud], 100, "z", told.append))
    assert told == [1]
    assert len(found[-1]) == 19


def prepare_trouble(setup: Any) -> Any:
    """Read nothing; end at one name, hang at another, and miss a package at a third."""

    def read(name: str) -> Any:
        path = Path(name)
        match path.stem:
            case "01":
                os.kill(os.getpid(), signal.SIGKILL)
            case "02":
                time.sleep(600)
            case "03":
                raise MissingPackageError("install it")
        return {"name": path.stem}, {}

    return read


def test_a_file_that_ends_or_holds_its_reader_is_named(paths, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    give_up_on(str(paths[2]), monkeypatch, most_seconds=2)
    from data.readers import test_shape_workers as importable

    found = list(read_each(importable.prepare_trouble, None, paths, workers=2))
    assert str(paths[1]) in str(found[1])
    assert "SIGKILL" in str(found[1])
    assert f"{paths[2]} took more than the 2 seconds" in str(found[2])
    assert isinstance(found[3], MissingPackageError)
    assert [values["name"] for values, _ in found[4:]] == [path.stem for path in paths[4:]]


def test_few_files_are_read_here(paths, monkeypatch):
    monkeypatch.setattr(shape_workers, "answers", lambda *how, **more: pytest.fail("a process"))
    assert len(list(read_each(prepare_clouds, [10, "z", False], paths[:3]))) == 3
