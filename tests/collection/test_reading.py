"""What is read of a folder again, what is not, and what a stop leaves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from helpers import mesh_writers as write
from pc_crvae.collection import shapes
from pc_crvae.collection.reading import Collection, read_files
from pc_crvae.collection.store import open_store, store_of
from pc_crvae.data.cache.pruning import prune
from pc_crvae.data.cache.store import COLLECTIONS
from pc_crvae.data.readers import shape_workers
from pc_crvae.data.readers.shape_files import ShapeContent, find_shape_files
from pc_crvae.embedding.index import About
from pc_crvae.embedding.shapes import embeddings_of_files
from pc_crvae.errors import MissingPackageError, PassingError, UserError
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


def read(
    model: Descriptor, folder: Path, about: About = ABOUT, *, measured: bool = False
) -> Collection:
    with open_store(store_of([folder])) as store:
        return read_files(find_shape_files([folder]), model, about, store, measured=measured)


def test_it_holds_what_embedding_the_files_gives(model: Descriptor, folder: Path):
    found = read(model, folder).embeddings
    whole = embeddings_of_files(model, find_shape_files([folder]), ABOUT, pytest.fail)
    assert (found.ids, found.sources, found.about) == (whole.ids, whole.sources, whole.about)
    np.testing.assert_array_equal(found.vectors, whole.vectors)
    again = read(model, folder)
    assert again.read == 0
    np.testing.assert_array_equal(again.embeddings.vectors, whole.vectors)
    assert again.embeddings.ids == whole.ids


def test_only_files_that_are_new_or_changed_are_read_again(model: Descriptor, folder: Path):
    first = read(model, folder)
    assert first.read == 10
    box(folder / "3.off", 40)
    box(folder / "new.off", 50)
    (folder / "5.off").unlink()
    second = read(model, folder)
    assert second.read == 2
    assert set(second.embeddings.ids) == {*"012346789", "new"}
    whole = embeddings_of_files(model, find_shape_files([folder]), ABOUT, pytest.fail)
    np.testing.assert_array_equal(second.embeddings.vectors, whole.vectors)
    assert read(model, folder).read == 0


def test_other_settings_have_an_index_of_their_own(model: Descriptor, folder: Path):
    read(model, folder)
    assert read(model, folder, ABOUT.model_copy(update={"up": "x"})).read == 10
    assert read(model, folder, ABOUT.model_copy(update={"model_sha256": "1" * 64})).read == 10
    assert read(model, folder).read == 0


def test_refused_files_are_told_each_time_and_read_once(model: Descriptor, folder: Path):
    (folder / "bad.off").write_text("OFF\n")
    first = read(model, folder)
    again = read(model, folder)
    assert again.read == 0
    assert first.refused == again.refused
    assert "bad.off" in first.refused[0]
    assert len(again.embeddings) == 10


@pytest.mark.parametrize("kind", [MissingPackageError, PassingError])
def test_what_may_be_over_the_next_time_is_tried_again(
    model: Descriptor, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: type[UserError]
):
    monkeypatch.setattr(shape_workers, "FEW", 10)
    measure = shapes.measure

    def without(content: ShapeContent, up: str | None) -> shapes.Shape:
        if content.path.name == "4.off":
            raise kind(f"{content.path} needs something")
        return measure(content, up)

    monkeypatch.setattr(shapes, "measure", without)
    assert read(model, folder).refused == (f"{folder}/4.off needs something",)
    monkeypatch.setattr(shapes, "measure", measure)
    again = read(model, folder)
    assert (again.read, again.refused, len(again.embeddings)) == (1, (), 10)


def test_stopped_it_goes_on_where_it_was(
    model: Descriptor, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pc_crvae.models.pretrained.ENCODED_AT_ONCE", 2)
    monkeypatch.setattr(shape_workers, "FEW", 10)
    measure, count = shapes.measure, 0

    def stop(content: ShapeContent, up: str | None) -> shapes.Shape:
        nonlocal count
        count += 1
        if count == 8:
            raise KeyboardInterrupt
        return measure(content, up)

    monkeypatch.setattr(shapes, "measure", stop)
    with pytest.raises(KeyboardInterrupt, match="stopped with 6 of the 10 files"):
        read(model, folder)
    monkeypatch.setattr(shapes, "measure", measure)
    again = read(model, folder)
    assert again.read == 4
    whole = embeddings_of_files(model, find_shape_files([folder]), ABOUT, pytest.fail)
    np.testing.assert_allclose(again.embeddings.vectors, whole.vectors, atol=1e-6)


@pytest.mark.parametrize("spoil", [lambda data: data[:-5000], lambda data: b"x" + data[1:]])
def test_damage_is_told_and_made_anew(model: Descriptor, folder: Path, cache: Path, spoil: object):
    read(model, folder)
    (kept,) = (cache / COLLECTIONS).glob("*.sqlite")
    kept.write_bytes(spoil(kept.read_bytes()))
    with pytest.raises(UserError, match=r"damaged .* and is removed") as told:
        read(model, folder)
    assert str(kept) in str(told.value)
    assert read(model, folder).read == 10
    assert read(model, folder).read == 0


def test_what_was_searched_need_not_be_read_to_be_explored(model: Descriptor, folder: Path):
    searched = read(model, folder)
    explored = read(model, folder, measured=True)
    assert (searched.read, explored.read) == (10, 0)
    assert searched.shapes == (None,) * 10
    assert all(shape is not None and shape.triangles > 0 for shape in explored.shapes)
    assert read(model, folder).read == 0


def test_a_folder_of_nothing_but_damage_is_refused(model: Descriptor, tmp_path: Path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.off").write_text("OFF\n")
    with pytest.raises(UserError, match=r"no shape can be used: .*a\.off"):
        read(model, tmp_path / "none")


def test_prune_leaves_it_unless_everything_is_to_go(model: Descriptor, folder: Path, cache: Path):
    read(model, folder)
    (cache / COLLECTIONS / "notes.txt").touch()
    assert prune().removed == []
    assert read(model, folder).read == 0
    told = prune(everything=True, dry_run=True).removed
    assert read(model, folder).read == 0
    removed = prune(everything=True).removed
    assert removed == told
    assert [leftover.path.suffix for leftover in removed] == [".sqlite"]
    assert [path.name for path in (cache / COLLECTIONS).iterdir()] == ["notes.txt"]
    assert read(model, folder).read == 10


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(folder: Path):
    for number in range(10, 400):
        box(folder / f"{number}.off", number)
    script = (
        "import sys; from pathlib import Path\n"
        "from pc_crvae.models import pretrained\n"
        "from pc_crvae.data.readers.shape_files import find_shape_files\n"
        "from pc_crvae.collection.reading import read_files\n"
        "from pc_crvae.collection.store import open_store, store_of\n"
        "from pc_crvae.embedding.index import About\n"
        "from pc_crvae.models.descriptors.descriptor import Descriptor\n"
        "pretrained.ENCODED_AT_ONCE = 8\n"
        "folder = Path(sys.argv[1])\n"
        "about = About(model_sha256='0' * 64, points=64, up='z')\n"
        "model = Descriptor(kind='bps', points=64)\n"
        "def advance(): print('.', flush=True)\n"
        "with open_store(store_of([folder])) as store:\n"
        "    files = find_shape_files([folder])\n"
        "    print(read_files(files, model, about, store, advance).read)\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(150):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    time.sleep(0.1)
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    left = int(ended.stdout.splitlines()[-1])
    assert 200 < left <= 270
