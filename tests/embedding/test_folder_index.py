"""The index of a folder: what is read again, what is not, and what a stop leaves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import mesh_writers as write
from pc_crvae.data.cache.pruning import prune
from pc_crvae.data.cache.store import SEARCHED
from pc_crvae.data.readers import shape_workers
from pc_crvae.data.readers.shape_files import find_shape_files
from pc_crvae.embedding.folder_index import FolderIndex, index_folder
from pc_crvae.embedding.index import About
from pc_crvae.embedding.shapes import embeddings_of_files
from pc_crvae.errors import MissingPackageError, UserError
from pc_crvae.models.descriptors.descriptor import Descriptor

ABOUT = About(model_sha256="0" * 64, points=64, up="z")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PC_CRVAE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def model() -> Descriptor:
    return Descriptor(kind="bps", points=64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten boxes, in single files."""
    (tmp_path / "parts").mkdir()
    for number in range(10):
        box(tmp_path / "parts" / f"{number}.off", number)
    return tmp_path / "parts"


def box(path: Path, height: int) -> None:
    path.write_bytes(write.off().replace(b"1.5", f"{1 + height}".encode()))


def index(model: Descriptor, folder: Path, about: About = ABOUT) -> FolderIndex:
    return index_folder(model, folder, find_shape_files([folder]), about)


def test_it_holds_what_embedding_the_files_gives(model: Descriptor, folder: Path):
    found = index(model, folder).embeddings
    whole = embeddings_of_files(model, find_shape_files([folder]), ABOUT, pytest.fail)
    assert (found.ids, found.sources, found.about) == (whole.ids, whole.sources, whole.about)
    np.testing.assert_array_equal(found.vectors, whole.vectors)
    again = index(model, folder)
    assert again.read == 0
    np.testing.assert_array_equal(again.embeddings.vectors, whole.vectors)
    assert again.embeddings.ids == whole.ids


def test_only_files_that_are_new_or_changed_are_read_again(model: Descriptor, folder: Path):
    first = index(model, folder)
    assert first.read == 10
    box(folder / "3.off", 40)
    box(folder / "new.off", 50)
    (folder / "5.off").unlink()
    second = index(model, folder)
    assert second.read == 2
    assert set(second.embeddings.ids) == {*"012346789", "new"}
    whole = embeddings_of_files(model, find_shape_files([folder]), ABOUT, pytest.fail)
    np.testing.assert_array_equal(second.embeddings.vectors, whole.vectors)
    assert index(model, folder).read == 0


def test_other_settings_have_an_index_of_their_own(model: Descriptor, folder: Path):
    index(model, folder)
    assert index(model, folder, ABOUT.model_copy(update={"up": "x"})).read == 10
    assert index(model, folder, ABOUT.model_copy(update={"model_sha256": "1" * 64})).read == 10
    assert index(model, folder).read == 0


def test_refused_files_are_told_each_time_and_read_once(model: Descriptor, folder: Path):
    (folder / "bad.off").write_text("OFF\n")
    first = index(model, folder)
    again = index(model, folder)
    assert again.read == 0
    assert first.refused == again.refused
    assert "bad.off" in first.refused[0]
    assert len(again.embeddings) == 10


def test_what_a_missing_package_kept_from_being_read_is_tried_again(
    model: Descriptor, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(shape_workers, "FEW", 10)
    load = shape_workers.load_shape

    def without(path: Path, *settings: object, **more: object) -> np.ndarray:
        if path.name == "4.off":
            raise MissingPackageError(f"{path} needs something")
        return load(path, *settings, **more)

    monkeypatch.setattr(shape_workers, "load_shape", without)
    assert index(model, folder).refused == (f"{folder}/4.off needs something",)
    monkeypatch.setattr(shape_workers, "load_shape", load)
    again = index(model, folder)
    assert (again.read, again.refused, len(again.embeddings)) == (1, (), 10)


def test_stopped_it_goes_on_where_it_was(
    model: Descriptor, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pc_crvae.models.pretrained.ENCODED_AT_ONCE", 2)
    monkeypatch.setattr(shape_workers, "FEW", 10)
    load, count = shape_workers.load_shape, 0

    def stop(path: Path, *settings: object, **more: object) -> np.ndarray:
        nonlocal count
        count += 1
        if count == 8:
            raise KeyboardInterrupt
        return load(path, *settings, **more)

    monkeypatch.setattr(shape_workers, "load_shape", stop)
    with pytest.raises(KeyboardInterrupt, match="stopped with 6 of the 10 files"):
        index(model, folder)
    monkeypatch.setattr(shape_workers, "load_shape", load)
    again = index(model, folder)
    assert again.read == 4
    whole = embeddings_of_files(model, find_shape_files([folder]), ABOUT, pytest.fail)
    np.testing.assert_allclose(again.embeddings.vectors, whole.vectors, atol=1e-6)


@pytest.mark.parametrize("spoil", [lambda data: data[:-30], lambda data: b"x" + data[1:]])
def test_damage_is_told_and_made_anew(model: Descriptor, folder: Path, cache: Path, spoil: object):
    index(model, folder)
    (kept,) = (cache / SEARCHED).glob("*.npz")
    kept.write_bytes(spoil(kept.read_bytes()))
    told: list[str] = []
    found = index_folder(model, folder, find_shape_files([folder]), ABOUT, tell=told.append)
    assert found.read == 10
    assert str(kept) in told[0]
    assert index(model, folder).read == 0


def test_a_folder_of_nothing_but_damage_is_refused(model: Descriptor, tmp_path: Path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.off").write_text("OFF\n")
    with pytest.raises(UserError, match="every one of the 1 files was refused"):
        index(model, tmp_path / "none")


def test_prune_leaves_it_unless_everything_is_to_go(model: Descriptor, folder: Path, cache: Path):
    index(model, folder)
    (cache / SEARCHED / "notes.txt").touch()
    assert prune().removed == []
    assert index(model, folder).read == 0
    told = prune(everything=True, dry_run=True).removed
    assert index(model, folder).read == 0
    removed = prune(everything=True).removed
    assert removed == told
    assert [leftover.path.suffix for leftover in removed] == [".npz"]
    assert [path.name for path in (cache / SEARCHED).iterdir()] == ["notes.txt"]
    assert index(model, folder).read == 10


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(folder: Path):
    for number in range(10, 400):
        box(folder / f"{number}.off", number)
    script = (
        "import sys; from pathlib import Path\n"
        "from pc_crvae.models import pretrained\n"
        "from pc_crvae.data.readers.shape_files import find_shape_files\n"
        "from pc_crvae.embedding.folder_index import index_folder\n"
        "from pc_crvae.embedding.index import About\n"
        "from pc_crvae.models.descriptors.descriptor import Descriptor\n"
        "pretrained.ENCODED_AT_ONCE = 8\n"
        "folder = Path(sys.argv[1])\n"
        "about = About(model_sha256='0' * 64, points=64, up='z')\n"
        "model = Descriptor(kind='bps', points=64)\n"
        "def start(count): print(count, flush=True); return lambda: print('.', flush=True)\n"
        "index_folder(model, folder, find_shape_files([folder]), about, start=start)\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(150):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    time.sleep(0.1)
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    left = int(ended.stdout.splitlines()[0])
    assert 200 < left <= 270
